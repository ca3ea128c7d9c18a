/* topic.c -- see topic.h. Pure. */
#include "proto/topic.h"

#include "proto/text.h"

#define METHODS_POST "$iothub/methods/POST/"
#define METHODS_RES "$iothub/methods/res/"
#define TWIN_GET "$iothub/twin/GET/"
#define TWIN_REPORTED "$iothub/twin/PATCH/properties/reported/"
#define TWIN_RES "$iothub/twin/res/"
#define TWIN_DESIRED "$iothub/twin/PATCH/properties/desired/"
#define RID "?$rid="

/* Remove 'prefix' from the front of *s; false: *s does not begin with it. */
static bool take(dm_span *s, const char *prefix) {
  size_t n = strlen(prefix);
  if (!dm_text_starts(*s, prefix)) return false;
  *s = (dm_span){s->p + n, s->n - n};
  return true;
}

/* Remove one level and the '/' after it; returns the level. */
static dm_span take_level(dm_span *s) {
  return dm_text_cut(*s, '/', s);
}

/* Read "?$rid={rid}[&name=value...]", the whole span. False: another form, or a
** second $rid. */
static bool read_rid(dm_span s, dm_span *rid) {
  if (!take(&s, RID)) return false;
  *rid = dm_text_cut(s, '&', &s);
  while (s.p) {
    if (dm_text_starts(dm_text_cut(s, '&', &s), "$rid=")) return false;
  }
  return rid->n > 0;
}

/* Methods */

bool dm_topic_write_request(dm_buf *out, dm_span method, dm_span rid) {
  size_t before = out->len;
  if (dm_buf_add_text(out, METHODS_POST) && dm_buf_add_span(out, method) &&
      dm_buf_add_text(out, "/" RID) && dm_buf_add_span(out, rid)) {
    return true;
  }
  out->len = before;
  return false;
}

bool dm_topic_parse_request(dm_span topic, dm_topic_request *out) {
  dm_topic_request request;
  if (!take(&topic, METHODS_POST)) return false;
  request.method = take_level(&topic);
  if (request.method.n == 0 || !read_rid(topic, &request.rid)) return false;
  *out = request;
  return true;
}

bool dm_topic_write_response(dm_buf *out, int32_t status, dm_span rid) {
  size_t before = out->len;
  if (dm_buf_addf(out, METHODS_RES "%ld/" RID, (long)status) &&
      dm_buf_add_span(out, rid)) {
    return true;
  }
  out->len = before;
  return false;
}

dm_topic_match dm_topic_parse_response(dm_span topic, dm_topic_response *out) {
  if (!take(&topic, METHODS_RES)) return DM_TOPIC_NO;
  dm_span level = take_level(&topic), rid;
  int64_t status;
  if (!dm_text_int64(level, INT32_MIN, INT32_MAX, &status)) {
    return DM_TOPIC_BAD;
  }
  if (!read_rid(topic, &rid)) return DM_TOPIC_BAD;
  *out = (dm_topic_response){.status = (int32_t)status, .rid = rid};
  return DM_TOPIC_YES;
}

bool dm_topic_filter_takes(dm_span filter, dm_span method) {
  if (!take(&filter, METHODS_POST)) return false;
  dm_span level = take_level(&filter);
  if (dm_span_is(level, "#")) return true;
  if (!dm_span_is(level, "+") && !dm_span_equal(level, method)) return false;
  if (filter.p == NULL) return false;
  level = take_level(&filter); /* this level must match "?$rid=..." */
  if (dm_span_is(level, "#")) return true;
  return dm_span_is(level, "+") && (!filter.p || dm_span_is(filter, "#"));
}

/* Kinds */

/* Remove a level that is this id. In a filter it may be '+', which means the
** connection's own id (docs/protocol.md 13.1). */
static bool take_id(dm_span *topic, dm_span id, bool in_filter) {
  dm_span level = take_level(topic);
  return dm_span_equal(level, id) || (in_filter && dm_span_is(level, "+"));
}

/* Remove "devices/{device}/" or "devices/{device}/modules/{module}/". */
static bool take_own(dm_span *topic, dm_span device, dm_span module,
                     bool in_filter) {
  if (!take(topic, "devices/") || !take_id(topic, device, in_filter))
    return false;
  if (module.n == 0) return topic->p != NULL;
  return take(topic, "modules/") && take_id(topic, module, in_filter) &&
         topic->p != NULL;
}

static bool has_wildcard(dm_span topic) {
  return topic.n > 0 && (memchr(topic.p, '#', topic.n) != NULL ||
                         memchr(topic.p, '+', topic.n) != NULL);
}

dm_span dm_topic_properties(dm_span topic, dm_span device, dm_span module) {
  if (!take_own(&topic, device, module, false) ||
      !take(&topic, "messages/events/"))
    return (dm_span){NULL, 0};
  if (topic.n > 0 && topic.p[topic.n - 1] == '/') topic.n--;
  return topic;
}

static bool is_telemetry(dm_span topic, dm_span device, dm_span module) {
  if (!take_own(&topic, device, module, false)) return false;
  return dm_text_starts(topic, "messages/events/") ||
         dm_span_is(topic, "messages/events");
}

dm_topic_kind dm_topic_of_publish(dm_span topic, dm_span device,
                                  dm_span module) {
  dm_span rest = topic, rid;
  if (has_wildcard(topic)) return DM_TOPIC_UNKNOWN;
  if (take(&rest, METHODS_RES)) return DM_TOPIC_METHOD_RESPONSE;
  if (take(&rest, TWIN_GET)) {
    return read_rid(rest, &rid) ? DM_TOPIC_TWIN_GET : DM_TOPIC_UNKNOWN;
  }
  if (take(&rest, TWIN_REPORTED)) {
    return read_rid(rest, &rid) ? DM_TOPIC_TWIN_REPORTED : DM_TOPIC_UNKNOWN;
  }
  return is_telemetry(topic, device, module) ? DM_TOPIC_TELEMETRY
                                             : DM_TOPIC_UNKNOWN;
}

/* A wildcard is a whole level, and '#' is the last one [MQTT-4.7.1]. */
static bool wildcards_are_levels(dm_span filter) {
  while (filter.p) {
    dm_span level = take_level(&filter);
    if (has_wildcard(level) && level.n > 1) return false;
    if (dm_span_is(level, "#") && filter.p) return false;
  }
  return true;
}

static bool is_devicebound(dm_span filter, dm_span device, dm_span module) {
  if (!take_own(&filter, device, module, true)) return false;
  return module.n > 0 || dm_text_starts(filter, "messages/devicebound/");
}

dm_topic_kind dm_topic_of_filter(dm_span filter, dm_span device,
                                 dm_span module) {
  if (!wildcards_are_levels(filter)) return DM_TOPIC_UNKNOWN;
  if (dm_text_starts(filter, METHODS_POST)) return DM_TOPIC_METHODS;
  if (dm_text_starts(filter, TWIN_RES)) return DM_TOPIC_TWIN_RESULT;
  if (dm_text_starts(filter, TWIN_DESIRED)) return DM_TOPIC_TWIN_DESIRED;
  return is_devicebound(filter, device, module) ? DM_TOPIC_DEVICEBOUND
                                                : DM_TOPIC_UNKNOWN;
}

/* Twins */

bool dm_topic_rid(dm_span topic, dm_span *rid) {
  const char *at =
      topic.n > 0 ? memmem(topic.p, topic.n, "/" RID, strlen("/" RID)) : NULL;
  if (at == NULL) return false;
  size_t before = (size_t)(at + 1 - topic.p);
  return read_rid((dm_span){at + 1, topic.n - before}, rid);
}

dm_span dm_topic_version(dm_span topic) {
  dm_span rest;
  dm_text_cut(topic, '?', &rest);
  while (rest.p != NULL) {
    dm_span pair = dm_text_cut(rest, '&', &rest), value;
    dm_span name = dm_text_cut(pair, '=', &value);
    if (dm_span_is(name, "$version"))
      return value.p != NULL ? value : (dm_span){name.p + name.n, 0};
  }
  return (dm_span){NULL, 0};
}

bool dm_topic_write_twin_result(dm_buf *out, int status, dm_span rid,
                                int64_t version) {
  size_t before = out->len;
  bool added =
      dm_buf_addf(out, TWIN_RES "%d/" RID, status) && dm_buf_add_span(out, rid);
  if (added && version >= 0) {
    added = dm_buf_addf(out, "&$version=%lld", (long long)version);
  }
  if (!added) out->len = before;
  return added;
}

bool dm_topic_write_twin_desired(dm_buf *out, int64_t version) {
  return dm_buf_addf(out, TWIN_DESIRED "?$version=%lld", (long long)version);
}

/* The user name */

/* Read "name=value&...". The first value of a name counts. Unknown names are
** ignored. */
static bool read_properties(dm_span s, dm_username *out) {
  while (s.p) {
    dm_span value;
    dm_span name = dm_text_cut(dm_text_cut(s, '&', &s), '=', &value);
    if (name.n == 0 && value.p == NULL) continue; /* a final "&" */
    if (value.p == NULL) return false;
    if (dm_span_is(name, "api-version") && !out->api_version.p) {
      out->api_version = value;
    }
    if (dm_span_is(name, "DeviceClientType") && !out->client_type.p) {
      out->client_type = value;
    }
    if (dm_span_is(name, "model-id") && !out->model_id.p) {
      out->model_id = value;
    }
  }
  return dm_text_trim(out->api_version, " ").n > 0;
}

/* An old .NET SDK separates its two properties by '/', and has another '/' in
** the second: api-version=2017-06-30/DeviceClientType=name/1.5 */
static bool read_old_properties(dm_span s, dm_username *out) {
  dm_span version = take_level(&s);
  if (!take(&version, "api-version=") || version.n == 0) return false;
  if (!s.p || !take(&s, "DeviceClientType=")) return false;
  out->api_version = version;
  out->client_type = s;
  return true;
}

/* Read what follows "host/device/": "[module/][?]properties". A '?' counts only
** at the start of the last segment, because an id may contain one. */
static bool read_rest(dm_span s, dm_username *out) {
  if (read_old_properties(s, out)) return true;
  dm_span last, first = dm_text_cut(s, '/', &last);
  if (last.p && read_old_properties(last, out)) {
    out->module = first;
    return true;
  }
  if (last.p) {
    out->module = first;
    first = last;
  }
  if (memchr(first.p, '/', first.n)) return false;
  take(&first, "?");
  return first.n == 0 || read_properties(first, out);
}

bool dm_username_parse(dm_span text, dm_username *out) {
  dm_username name = {.host = {NULL, 0}};
  dm_span rest;
  name.host = dm_text_cut(text, '/', &rest);
  if (name.host.n == 0 || !rest.p) return false;
  name.device = take_level(&rest);
  if (!dm_text_identity(name.device)) return false;
  if (rest.p && !read_rest(rest, &name)) return false;
  if (name.module.p && !dm_text_identity(name.module)) return false;
  *out = name;
  return true;
}

static bool add_property(dm_buf *out, const char *name, dm_span value) {
  return dm_buf_add_text(out, name) && dm_text_percent_encode(out, value);
}

static bool add_username(dm_buf *out, const dm_username *name) {
  if (!dm_buf_add_span(out, name->host) || !dm_buf_add(out, "/", 1) ||
      !dm_buf_add_span(out, name->device) || !dm_buf_add(out, "/", 1)) {
    return false;
  }
  if (name->module.n > 0 &&
      (!dm_buf_add_span(out, name->module) || !dm_buf_add(out, "/", 1))) {
    return false;
  }
  if (name->api_version.n == 0) return true;
  if (!add_property(out, "?api-version=", name->api_version)) return false;
  return name->client_type.n == 0 ||
         add_property(out, "&DeviceClientType=", name->client_type);
}

bool dm_username_write(dm_buf *out, dm_span host, dm_span device,
                       dm_span module, dm_span api_version,
                       dm_span client_type) {
  dm_username name = {.host = host,
                      .device = device,
                      .module = module,
                      .api_version = api_version,
                      .client_type = client_type};
  size_t before = out->len;
  if (add_username(out, &name)) return true;
  out->len = before;
  return false;
}
