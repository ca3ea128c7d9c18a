--- The names of errors that this library itself reports, where the hub had no word in
-- it: what each means and what helps.

---@type table<string, { cause: string, remedy: string }>
return {
  Timeout = {
    cause = "What was waited for did not come in time.",
    remedy = "Wait longer, or find out why nothing comes; a call may have run.",
  },
  Cancelled = {
    cause = "The task was cancelled.",
    remedy = "Nothing: somebody called task:cancel(), or the program is ending.",
  },
  Closed = {
    cause = "The client was closed while it was used.",
    remedy = "Close it when its calls have ended.",
  },
  NameNotResolved = {
    cause = "The host name has no address.",
    remedy = "Check the HostName in the connection string, and the name server.",
  },
  ConnectFailed = {
    cause = "There was no connection to the other side, or it broke.",
    remedy = "Check host, port, proxy and firewall, and that the hub runs; when "
      .. "err.retriable is false the call may have run.",
  },
  TlsFailed = {
    cause = "The other side could not show who it is, or speaks no TLS that is good "
      .. "enough.",
    remedy = "Check the CA (tls.ca), the host name, the clock of this machine, and "
      .. "that the port is one for TLS; a local hub's CA is hub:ca_file().",
  },
  Unauthorized = {
    cause = "The key, token or certificate was not accepted, or has expired.",
    remedy = "Check the connection string and the clock; renew a token of your own.",
  },
  ProtocolError = {
    cause = "The other side said something that IoT Hub would not.",
    remedy = "Check that host and port are those of a hub, and what stands in between.",
  },
  LimitExceeded = {
    cause = "Something is larger or more than is allowed; the message says what.",
    remedy = "Send less, or raise the limit where it is an option.",
  },
  InvalidJson = {
    cause = "A text is not JSON, or holds a number that Lua cannot.",
    remedy = "Read the raw text in body, or repair who wrote it.",
  },
  Conflict = {
    cause = "The hub's store was changed by another request meanwhile.",
    remedy = "Read the present state, then try again.",
  },
  StorageFailed = {
    cause = "The hub's store could not be read or written.",
    remedy = "Check the disk, the file and its owner; nothing was changed.",
  },
  SystemError = {
    cause = "The operating system refused something, or memory is used up.",
    remedy = "Read the message.",
  },
}
