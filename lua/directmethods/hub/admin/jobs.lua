--- The routes of jobs, whose documents are those of IoT Hub's jobs/v2.

local document = require "directmethods.hub.jobs.document"
local json = require "directmethods.json"
local requests = require "directmethods.hub.admin.request"
local retention = require "directmethods.hub.jobs.retention"
local row_store = require "directmethods.hub.jobs.row_store"

local LIST_MAX = 100 -- jobs
local DEVICES_MAX = 1000 -- device jobs of one

-- What was found, or a refusal.
local function found(value, problem)
  if value then return value end
  if not problem or problem.http_status == 404 then
    requests.refuse(404, "There is no such job.")
  end
  requests.refuse(problem.http_status or 503, problem.text or tostring(problem))
end

local function shown(jobs, job)
  return json.raw(document.job(job, jobs:now()))
end

local function list(hub)
  local jobs = hub.state.jobs
  local source, documents = retention.source(jobs), json.array {}
  repeat
    for _, job in ipairs(found(source.next())) do
      documents[#documents + 1] = shown(jobs, job)
    end
  until source.ended or #documents >= LIST_MAX
  return documents
end

local function get(hub, request)
  local jobs = hub.state.jobs
  return shown(jobs, found(jobs:find(request.job_id)))
end

local function devices(hub, request)
  local jobs = hub.state.jobs
  found(jobs:find(request.job_id))
  local rows = found(row_store.page(jobs.db, request.job_id, nil, DEVICES_MAX))
  local documents = json.array {}
  for i, row in ipairs(rows) do documents[i] = json.raw(document.device_job(row)) end
  return documents
end

local function cancel(hub, request)
  local jobs = hub.state.jobs
  return shown(jobs, found(jobs:cancel(request.job_id)))
end

---@type directmethods.AdminRoute[]
return {
  { path = "/jobs", GET = { list } },
  { path = "/jobs/{job_id}", GET = { get } },
  { path = "/jobs/{job_id}/devices", GET = { devices } },
  { path = "/jobs/{job_id}/cancel", POST = { cancel } },
}
