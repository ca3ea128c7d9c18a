"""A device on plain paho-mqtt that lives for hours: it renews its token 15 minutes
before that ends after an hour. Prints a line for each renewal, and answers every
method with its own time. argv: its connection string."""
import base64
import hashlib
import hmac
import os
import ssl
import sys
import time
import urllib.parse

import paho.mqtt.client as mqtt

LIFE, RENEW = 3600, 2700  # seconds
PARTS = dict(part.split("=", 1) for part in sys.argv[1].split(";"))
HOST, ID = PARTS["HostName"], PARTS["DeviceId"]

# paho-mqtt 2 wants to know which callbacks it has
PAHO_2 = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION2} \
    if hasattr(mqtt, "CallbackAPIVersion") else {}


def token():
    resource = urllib.parse.quote(f"{HOST}/devices/{ID}", safe="")
    expiry = int(time.time()) + LIFE
    key = base64.b64decode(PARTS["SharedAccessKey"])
    signed = hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(signed), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}"


def on_connect(client, _data, _flags, status, *_properties):
    if status == 0:
        client.subscribe("$iothub/methods/POST/#")
        print("renewed", flush=True)


def on_message(client, _data, message):
    rid = message.topic.split("/?$rid=", 1)[1]
    client.publish(f"$iothub/methods/res/200/?$rid={rid}", str(int(time.time())))


def live():
    client = mqtt.Client(client_id=ID, **PAHO_2)
    client.tls_set_context(ssl.create_default_context(cafile=os.environ["IOTHUB_CA_FILE"]))
    client.username_pw_set(f"{HOST}/{ID}/?api-version=2021-04-12", token())
    client.on_connect, client.on_message = on_connect, on_message
    client.connect(HOST, int(os.environ["HUB_MQTT_PORT"]), keepalive=1200)
    renew = time.time() + RENEW
    while time.time() < renew:
        if client.loop(timeout=10) != mqtt.MQTT_ERR_SUCCESS:
            break
    client.disconnect()
    client.loop(timeout=10)


while True:
    try:
        live()
    except OSError as error:
        print(error, file=sys.stderr)
