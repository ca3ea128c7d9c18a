"""Fixtures: `hub`, what the ready file says; `device`, one on paho-mqtt; `invoke`, `admin`. See docs/python.md."""
import json, os
import pytest
import requests
import hub as kit


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    running = os.environ.get("DIRECTMETHODS_READY_FILE")
    if running:
        yield json.load(open(running))
        return
    child, facts = kit.start(tmp_path_factory.mktemp("hub"), ["fan", "attic"])
    yield facts
    child.terminate()
    child.wait()


@pytest.fixture
def device(hub):
    made = []

    def connect(id, handlers):
        made.append(kit.Device(hub, id, handlers))
        # With Azure's SDK, which connects to port 8883, two lines take its place:
        # client = IoTHubDeviceClient.create_from_connection_string(
        #     hub["devices"][id], server_verification_cert=open(hub["ca_file"]).read())
    yield connect
    for each in made:
        each.client.disconnect()
        each.client.loop_stop()


@pytest.fixture
def invoke(hub):
    def call(id, method, payload=None, **timeouts):
        cs = kit.parts(hub["connection_strings"]["service"])
        token = kit.sas(cs["HostName"], cs["SharedAccessKey"], cs["SharedAccessKeyName"])
        return requests.post(
            f"https://{cs['HostName']}:{hub['ports']['https']}/twins/{id}/methods",
            json={"methodName": method, "payload": payload, **timeouts},
            params={"api-version": "2021-04-12"}, headers={"Authorization": token},
            verify=hub["ca_file"])  # or set REQUESTS_CA_BUNDLE
    return call


@pytest.fixture
def admin(hub):
    def request(verb, path, body=None):
        answer = requests.request(
            verb, f"http://127.0.0.1:{hub['ports']['admin']}{path}", json=body,
            headers={"Authorization": f"Bearer {hub['admin_token']}"})
        answer.raise_for_status()
    yield request
    request("DELETE", "/faults")
