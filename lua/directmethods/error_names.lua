--- The names of errors that this library reports itself, without an answer of the hub:
-- what each means and what to do.

---@type table<string, { cause: string, remedy: string }>
return {
  Timeout = {
    cause = "The operation did not end in time.",
    remedy = "Wait longer, or find out why there is no answer. A call may have run.",
  },
  Cancelled = {
    cause = "The task was cancelled.",
    remedy = "None is needed: task:cancel() was called, or the program is ending.",
  },
  Closed = {
    cause = "The client was closed while a call was in progress, or before it.",
    remedy = "Close it after its calls have ended.",
  },
  NameNotResolved = {
    cause = "The host name has no address.",
    remedy = "Check the HostName in the connection string, and the name server.",
  },
  ConnectFailed = {
    cause = "The connection failed, or it broke.",
    remedy = "Check host, port, proxy and firewall, and that the hub runs. If "
      .. "err.retriable is false, the call may have run.",
  },
  TlsFailed = {
    cause = "The server's certificate was not accepted, or its TLS version or "
      .. "ciphers are too weak.",
    remedy = "Check the CA (tls.ca), the host name, the clock of this machine, and "
      .. "that the port is a TLS port. The CA of a local hub is hub:ca_file().",
  },
  Unauthorized = {
    cause = "The key, token or certificate was not accepted, or has expired.",
    remedy = "Check the connection string and the clock. If you passed a token, "
      .. "renew it.",
  },
  ProtocolError = {
    cause = "The answer is not one of IoT Hub.",
    remedy = "Check that host and port are those of a hub, and look for a proxy in "
      .. "between.",
  },
  LimitExceeded = {
    cause = "A limit was exceeded; the message names it.",
    remedy = "Send less, or raise the limit if there is an option for it.",
  },
  InvalidJson = {
    cause = "A text is not JSON, or contains a number that Lua cannot hold.",
    remedy = "Read the raw text in body, or correct the program that wrote it.",
  },
  Conflict = {
    cause = "The hub's store was changed by another request meanwhile, or other hubs "
      .. "of its cluster use it.",
    remedy = "Read the current state, then try again. If the message names another "
      .. "hub, end that hub first.",
  },
  StorageFailed = {
    cause = "The hub's store could not be read or written.",
    remedy = "Check the disk, the file and its owner. Nothing was changed.",
  },
  SystemError = {
    cause = "The operating system refused something, or memory is used up.",
    remedy = "The message has the reason of the system.",
  },
}
