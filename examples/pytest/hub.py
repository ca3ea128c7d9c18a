"""A hub for tests, a device on paho-mqtt, and calls by requests: no SDK of Azure's (docs/python.md).

Under `directmethods hub -- pytest-3` it is that hub; else start() starts one of its own.
"""
import base64, hmac, json, os, subprocess, threading, time
from urllib.parse import quote
import paho.mqtt.client as mqtt

PAHO_2 = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2} \
    if hasattr(mqtt, "CallbackAPIVersion") else {}


def start(folder, devices):
    """A hub's process, and what its ready file says, as soon as it listens."""
    ready = f"{folder}/ready.json"
    words = ["directmethods", "hub", "--quiet", "--mqtt-port=0", "--https-port=0",
             "--admin-port=0", "--ready-file", ready]
    child = subprocess.Popen(words + [f"--device={id}" for id in devices])
    while not os.path.exists(ready):
        assert child.poll() is None, "the hub has ended"
        time.sleep(0.02)
    return child, json.load(open(ready))


def sas(resource, key, policy=None, ttl=3600):
    """A token: the resource and the time when it ends, signed with the key."""
    end, name = str(int(time.time()) + ttl), f"&skn={policy}" if policy else ""
    mac = hmac.digest(base64.b64decode(key), f"{resource}\n{end}".encode(), "sha256")
    signature = quote(base64.b64encode(mac), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={end}{name}"


def parts(connection_string):
    return dict(part.split("=", 1) for part in connection_string.split(";"))


class Device:
    """Answers methods: handlers[name](payload) returns a status and a payload."""

    def __init__(self, facts, id, handlers):
        cs, self.handlers, self.ready = parts(facts["devices"][id]), handlers, threading.Event()
        resource = quote(f"{cs['HostName']}/devices/{id}", safe="")
        self.client = client = mqtt.Client(client_id=id, **PAHO_2)
        client.username_pw_set(f"{cs['HostName']}/{id}/?api-version=2021-04-12",
                               sas(resource, cs["SharedAccessKey"]))
        client.tls_set(ca_certs=facts["ca_file"])
        client.on_connect = lambda *_: client.subscribe("$iothub/methods/POST/#")
        client.on_subscribe = lambda *_: self.ready.set()
        client.on_message = self.answer
        client.connect(cs["HostName"], facts["ports"]["mqtt"])
        client.loop_start()
        assert self.ready.wait(30), "the device is not online"

    def answer(self, client, _, message):
        method, rid = message.topic[len("$iothub/methods/POST/"):].split("/?$rid=")
        status, payload = self.handlers[method](json.loads(message.payload or b"null"))
        client.publish(f"$iothub/methods/res/{status}/?$rid={rid}", json.dumps(payload))
