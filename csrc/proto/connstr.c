/* connstr.c -- connection strings. Pure. */
#include "proto/connstr.h"

#include "base/buf.h"
#include "base/memory.h"
#include "proto/sas.h"
#include "proto/text.h"

typedef enum field {
  HOST_NAME,
  DEVICE_HOST_NAME,
  SERVICE_HOST_NAME,
  GATEWAY_HOST_NAME,
  DEVICE_ID,
  MODULE_ID,
  ENCODED_DEVICE_ID,
  ENCODED_MODULE_ID,
  KEY,
  KEY_NAME,
  SIGNATURE,
  X509,
  FIELDS
} field;

static const char *const field_name[FIELDS] = {
    [HOST_NAME] = "HostName",
    [DEVICE_HOST_NAME] = "DeviceHostName",
    [SERVICE_HOST_NAME] = "ServiceHostName",
    [GATEWAY_HOST_NAME] = "GatewayHostName",
    [DEVICE_ID] = "DeviceId",
    [MODULE_ID] = "ModuleId",
    [ENCODED_DEVICE_ID] = "EncodedDeviceId",
    [ENCODED_MODULE_ID] = "EncodedModuleId",
    [KEY] = "SharedAccessKey",
    [KEY_NAME] = "SharedAccessKeyName",
    [SIGNATURE] = "SharedAccessSignature",
    [X509] = "x509",
};

static dm_code refuse(dm_err *e, const char *what, const char *rule) {
  return dm_fail(e, DM_PROTOCOL_ERROR, "connection string: %s %s", what, rule);
}

/* Does it consist of letters, digits and the characters of 'more'? */
static bool made_of(dm_span s, const char *more) {
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                (c >= '0' && c <= '9') || (c && strchr(more, c));
    if (!fits) return false;
  }
  return true;
}

static bool is_key(dm_span s) {
  char memory[DM_SAS_KEY_MAX + 1];
  dm_buf key = dm_buf_fixed(memory, sizeof memory);
  bool good = dm_text_base64_decode(&key, s) && key.len > 0;
  dm_memory_wipe(memory, sizeof memory);
  return good;
}

/* A host name, or one with ":port". */
static bool is_gateway(dm_span s) {
  dm_span port;
  int64_t number = 1;
  dm_span host = dm_text_cut(s, ':', &port);
  if (host.n == 0 || !made_of(host, "-._")) return false;
  if (port.p && !dm_text_int64(port, 1, 65535, &number)) return false;
  return true;
}

static bool is_encoded_id(dm_span s) {
  char memory[DM_CONNSTR_ID_MAX + 1];
  dm_buf id = dm_buf_fixed(memory, sizeof memory);
  return dm_text_percent_decode(&id, s) && dm_text_identity(dm_buf_span(&id));
}

/* The rule that the value of 'f' breaks; NULL: the value is valid. */
static const char *broken_rule(field f, dm_span value) {
  switch (f) {
  case HOST_NAME:
  case DEVICE_HOST_NAME:
  case SERVICE_HOST_NAME:
    return made_of(value, "-._") ? NULL : "must be a host name without a port";
  case GATEWAY_HOST_NAME:
    return is_gateway(value) ? NULL : "must be a host name, maybe with a port";
  case DEVICE_ID:
  case MODULE_ID:
    return dm_text_identity(value) ? NULL : "is not a valid id";
  case ENCODED_DEVICE_ID:
  case ENCODED_MODULE_ID:
    return is_encoded_id(value) ? NULL : "is not a valid id, percent-encoded";
  case KEY:
    return is_key(value) ? NULL : "is not a key in base64";
  case KEY_NAME:
    return made_of(value, "-._@") ? NULL : "is not a policy name";
  case SIGNATURE:
    return dm_text_starts(value, "SharedAccessSignature ") ? NULL
                                                           : "is not a token";
  case X509:
  case FIELDS: /* impossible: take_field has refused it */
    break;
  }
  return dm_span_is(value, "true") ? NULL : "must be true";
}

static field field_of(dm_span name) {
  field f = 0;
  while (f < FIELDS && !dm_span_is(name, field_name[f]))
    f++;
  return f;
}

static dm_code take_field(dm_span part, dm_span value[FIELDS], dm_err *e) {
  dm_span text;
  field f = field_of(dm_text_cut(part, '=', &text));
  /* an unknown name may be part of a key, so the message does not repeat it */
  if (f == FIELDS) return refuse(e, "a field", "has an unknown name");
  if (text.p == NULL) return refuse(e, field_name[f], "has no '='");
  if (text.n == 0) return refuse(e, field_name[f], "is empty");
  if (value[f].p) return refuse(e, field_name[f], "appears twice");
  const char *rule = broken_rule(f, text);
  if (rule) return refuse(e, field_name[f], rule);
  value[f] = text;
  return DM_OK;
}

/* Refuse what no field may contain. */
static dm_code check_text(dm_span text, dm_err *e) {
  if (text.n > DM_CONNSTR_MAX) return refuse(e, "the text", "is too long");
  if (dm_text_starts(text, "\xEF\xBB\xBF")) {
    return refuse(e, "the text", "begins with a byte order mark");
  }
  for (size_t i = 0; i < text.n; i++) {
    if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F) {
      return refuse(e, "the text", "has a line break or control byte in it");
    }
  }
  return DM_OK;
}

/* The field that is there: 'first', or else 'second'. */
static dm_span either(const dm_span value[FIELDS], field first, field second) {
  return value[first].p != NULL ? value[first] : value[second];
}

static dm_code check_ids(const dm_span value[FIELDS], dm_err *e) {
  if (value[DEVICE_ID].p && value[ENCODED_DEVICE_ID].p)
    return refuse(e, "DeviceId and EncodedDeviceId", "exclude each other");
  if (value[MODULE_ID].p && value[ENCODED_MODULE_ID].p)
    return refuse(e, "ModuleId and EncodedModuleId", "exclude each other");
  if (either(value, MODULE_ID, ENCODED_MODULE_ID).p &&
      either(value, DEVICE_ID, ENCODED_DEVICE_ID).p == NULL)
    return refuse(e, field_name[MODULE_ID], "needs DeviceId");
  return DM_OK;
}

/* A hub may have a name for devices and one for services. */
static dm_span host_of(const dm_span value[FIELDS]) {
  bool of_device = either(value, DEVICE_ID, ENCODED_DEVICE_ID).p != NULL;
  return either(value, of_device ? DEVICE_HOST_NAME : SERVICE_HOST_NAME,
                HOST_NAME);
}

static dm_code check_together(const dm_span value[FIELDS], dm_err *e) {
  int credentials = (value[KEY].p != NULL) + (value[SIGNATURE].p != NULL) +
                    (value[X509].p != NULL);
  if (host_of(value).p == NULL)
    return refuse(e, field_name[HOST_NAME], "is missing");
  if (credentials > 1) {
    return refuse(e, "SharedAccessKey, SharedAccessSignature and x509",
                  "exclude each other");
  }
  return check_ids(value, e);
}

dm_code dm_connstr_parse(dm_span text, dm_connstr *out, dm_err *e) {
  dm_span value[FIELDS] = {{NULL, 0}};
  dm_code code = check_text(text, e);
  if (code == DM_OK && text.n > 0 && text.p[text.n - 1] == ';') text.n--;
  dm_span rest = text;
  while (code == DM_OK && rest.p) {
    dm_span part = dm_text_cut(rest, ';', &rest);
    code = take_field(part, value, e);
  }
  if (code == DM_OK) code = check_together(value, e);
  if (code != DM_OK) return code;
  *out = (dm_connstr){
      .host_name = host_of(value),
      .gateway_host_name = value[GATEWAY_HOST_NAME],
      .device_id = either(value, DEVICE_ID, ENCODED_DEVICE_ID),
      .module_id = either(value, MODULE_ID, ENCODED_MODULE_ID),
      .encoded_device = value[ENCODED_DEVICE_ID].p != NULL,
      .encoded_module = value[ENCODED_MODULE_ID].p != NULL,
      .key = value[KEY],
      .key_name = value[KEY_NAME],
      .signature = value[SIGNATURE],
      .x509 = value[X509].p != NULL,
  };
  return DM_OK;
}
