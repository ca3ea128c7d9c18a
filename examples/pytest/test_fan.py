"""A device on paho-mqtt, called by requests (docs/python.md):

    pytest-3                                                       the test starts the hub
    directmethods hub --device fan --device attic -- pytest-3      the hub starts the test
"""
import json
import threading
from concurrent.futures import ThreadPoolExecutor


def set_speed(payload):
    return 200, {"speed": payload["speed"]}


def code_of(answer):
    return json.loads(answer.json()["Message"])["errorCode"]


def test_a_fan_is_set(device, invoke):
    device("fan", {"set_speed": set_speed})
    answer = invoke("fan", "set_speed", {"speed": 40})
    assert answer.json() == {"status": 200, "payload": {"speed": 40}}


def test_a_fan_that_is_offline_is_reported_at_once(invoke):
    answer = invoke("attic", "set_speed", {"speed": 40})
    assert (answer.status_code, code_of(answer)) == (404, 404103)


def test_an_answer_that_is_lost_ends_in_a_time_out(device, invoke, admin):
    reached = threading.Event()

    def handler(payload):
        reached.set()
        return set_speed(payload)

    device("fan", {"set_speed": handler})
    admin("POST", "/faults", {"stage": "response", "action": "drop", "device": "fan"})
    with ThreadPoolExecutor() as pool:
        call = pool.submit(invoke, "fan", "set_speed", {"speed": 40},
                           responseTimeoutInSeconds=300)
        assert reached.wait(30)
        admin("POST", "/clock/advance", {"seconds": 300})  # 300 s in no time
        assert code_of(call.result()) == 504101
