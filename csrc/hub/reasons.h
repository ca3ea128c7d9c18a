/* reasons.h -- why a device was refused, or why its connection has ended: a
** word for programs and a text for people. Pure data.
**
** In a text '@' stands for the name of the device or policy ("'dev1'"), '&' for
** its kind and name ("device 'dev1'"), and '#' for the detail.
*/
#ifndef DM_HUB_REASONS_H
#define DM_HUB_REASONS_H

#pragma GCC visibility push(hidden)

#define DM_WHY_MAP(X)                                                          \
  X(NONE, "", "")                                                              \
  /* a connection has ended */                                                 \
  X(CLIENT_DISCONNECT, "client_disconnect", "the device sent DISCONNECT")      \
  X(NETWORK, "network", "the connection was lost: #")                          \
  X(KEEP_ALIVE, "keep_alive",                                                  \
    "nothing came within one and a half times its keep-alive")                 \
  X(TOKEN_EXPIRED, "token_expired", "the token expired at #")                  \
  X(DELETED, "identity_deleted", "& was deleted")                              \
  X(DISABLED, "disabled", "& is disabled")                                     \
  X(KEY_GONE, "key_gone", "its key or thumbprint was changed or removed")      \
  X(PROTOCOL, "protocol_violation", "#")                                       \
  X(LIMIT, "limit_exceeded", "#")                                              \
  X(TAKEN_OVER, "taken_over", "a connection from # took its place")            \
  X(HUB_STOPPING, "hub_stopping", "the hub is stopping")                       \
  X(FAULT_RULE, "fault_rule", "a fault rule acted: #")                         \
  X(FAULT_MESSAGE, "fault_message", "fault message: #")                        \
  X(NOT_KEPT, "session_not_kept", "the store cannot keep its session")         \
  X(BY_HAND, "by_hand", "hub:disconnect was called")                           \
  X(STORED, "stored_session", "its stored session has the subscription")       \
  /* a CONNECT or a request was refused */                                     \
  X(USER_NAME, "bad_user_name",                                                \
    "the user name is not {host}/{device}[/{module}]/?api-version=...")        \
  X(CLIENT_ID, "bad_client_id",                                                \
    "the client id is not the identity in the user name")                      \
  X(HOST, "wrong_host", "the host in the user name is not this hub")           \
  X(MODEL_ID, "bad_model_id",                                                  \
    "the model id is not a text of at most 2048 bytes")                        \
  X(NO_CREDENTIALS, "no_credentials",                                          \
    "there is neither a password nor a certificate")                           \
  X(NO_TOKEN, "no_token", "the request must have one Authorization field")     \
  X(BAD_TOKEN, "bad_token", "the token cannot be read")                        \
  X(NO_POLICY, "no_policy", "the token names no policy")                       \
  X(SIGNATURE, "wrong_signature", "the signature matches no key of @")         \
  X(CERTIFICATE_ONLY, "certificate_only",                                      \
    "@ must show its certificate, and has no keys for tokens")                 \
  X(UNKNOWN, "not_registered", "there is no &")                                \
  X(AUDIENCE, "wrong_audience", "the token's sr does not cover the resource")  \
  X(NO_RIGHT, "no_right", "the policy does not allow it")                      \
  X(CERTIFICATE, "wrong_certificate", "the certificate is not that of @")      \
  X(CERTIFICATE_EARLY, "certificate_early",                                    \
    "the certificate is not valid yet")                                        \
  X(CERTIFICATE_LATE, "certificate_expired", "the certificate has expired")    \
  X(FAILED_LOGINS, "failed_logins", "too many failed log-ins")                 \
  X(RATE, "rate_limit", "too many connections a second for the hub's tier")    \
  X(WILL, "bad_will", "the will's topic is not the device's own telemetry")    \
  X(NO_MEMORY, "out_of_memory", "out of memory")                               \
  X(TIMEOUT, "timeout", "#")                                                   \
  X(BAD_REQUEST, "bad_request", "#")                                           \
  /* a TLS handshake has failed */                                             \
  X(UNTRUSTED, "untrusted_ca", "the client does not trust this hub's CA")      \
  X(PLAIN, "plain_text", "the client sent plain text to a port with TLS")      \
  X(SILENT, "nothing_sent",                                                    \
    "the client left in the TLS handshake, or after it without a word: it "    \
    "may not trust this hub's CA")                                             \
  X(TLS, "tls", "#")

typedef enum dm_why {
#define X(id, word, text) DM_WHY_##id,
  DM_WHY_MAP(X)
#undef X
      DM_WHYS
} dm_why;

#pragma GCC visibility pop

#endif
