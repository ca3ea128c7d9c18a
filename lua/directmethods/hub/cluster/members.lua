--- The hubs that share a database: each has a row in it, and counts up in its row each
-- second. A hub that has not counted while another one has counted four times is dead:
-- the first that sees it removes its row and ends what it had begun.

local core = require "directmethods.core"
local json = require "directmethods.json"
local row_store = require "directmethods.hub.jobs.row_store"

local M = {}

local SILENT = 4 -- beats of this hub without one of the other: it is dead

---@class directmethods.ClusterMembers
---@field db directmethods.Sql
---@field id string of this hub
---@field others table<string, { beat: integer, silent: integer }> as last seen
local Members = {}
Members.__index = Members

---@param db directmethods.Sql
---@param id string
---@return directmethods.ClusterMembers
function M.new(db, id)
  return setmetatable({ db = db, id = id, others = {} }, Members)
end

--- Make the row of this hub, at its start or after others have found it dead.
---@return boolean? done
---@return directmethods.Error? err
function Members:enter()
  local done, err = self.db:write {
    { "INSERT INTO hubs (id, beat) VALUES (?, 0) ON CONFLICT (id) DO NOTHING",
      { self.id } },
  }
  return done and true, err
end

local BEAT = "UPDATE hubs SET beat = beat + 1 WHERE id = ?"
local OTHERS = "SELECT id, beat FROM hubs WHERE id <> ?"
local VERSION = "SELECT version FROM counts"

-- Those that were silent for too long: their ids and last beats.
local function look(self, rows)
  local others, dead = {}, {}
  for _, row in ipairs(rows) do
    local id, beat = row[1], row[2]
    local before = self.others[id]
    local silent = before and before.beat == beat and before.silent + 1 or 0
    others[id] = { beat = beat, silent = silent }
    if silent >= SILENT then dead[#dead + 1] = { id = id, beat = beat } end
  end
  self.others = others
  return dead
end

--- Count up in this hub's row.
---@return { version: integer, dead: { id: string, beat: integer }[] }? seen version: of
---  the last change of identities
---@return directmethods.Error? err Conflict: others have found this hub dead
function Members:beat()
  local results, err = self.db:write {
    { BEAT, { self.id }, expect = 1 }, { OTHERS, { self.id } }, { VERSION },
  }
  if not results then
    self.others = {} -- a hub that was silent may have been without the database, too
    return nil, err
  end
  return { dead = look(self, results[2]), version = results[3][1][1] }
end

--- The statement that ends a hub: its connections are gone, the jobs that it ran are
--- free, and what it had called for jobs has an unknown outcome.
---@param id string
---@param beat integer? end it only if its row still has this number; nil: in any case
---@return directmethods.SqlStatement expects one row; Conflict: it has ended, or lives
function M.end_statement(id, beat)
  local now = math.floor(core.time() * 1000 + 0.5)
  return { "SELECT 1 WHERE end_hub(?, ?, ?, ?)",
    { id, beat, now, json.encode(row_store.UNKNOWN.text), n = 4 }, expect = 1 }
end

--- End a dead hub. If several hubs try it, only one of them succeeds.
---@param dead { id: string, beat: integer }
---@return boolean? done
---@return directmethods.Error? err
function Members:bury(dead)
  self.others[dead.id] = nil
  local done, err = self.db:write { M.end_statement(dead.id, dead.beat) }
  return done and true, err
end

return M
