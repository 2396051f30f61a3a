"""What a Redis store does inside the server: each method is one script, so that nothing comes between its steps.

Times are whole microseconds since 1970 on the server's clock: a double holds them exactly, and the scripts write them
without an exponent. Every script begins with the same lines: they read the clock, and look at the **epoch**, a random
word that is as old as the memory of the server. A process hands over the epoch that it knows. If the server has another
one, it has lost its memory, and with it what was spent, at the latest when the new epoch began (`lost`).

Every key has an end, counted on the server's clock. No decision depends on it: it only tidies up.

Replies are lists: the epoch, a word, and what belongs to it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

__all__ = ["ATTEND", "CANCEL", "LEASE", "PUBLISH", "READ", "RELEASE", "SETTLE", "SPENT", "TAKE", "Script"]

_KEPT_MS = 30 * 86400 * 1000
"""Lists, fences and the epoch are forgotten after so long without use."""

# ARGV: 1 the time (0: the server's), 2 the epoch that the caller knows, 3 an epoch for a server without one.
_HEAD = f"""
local KEPT = {_KEPT_MS}
local function text(number) return string.format('%.0f', number) end
local function put_off_end_of_epoch() redis.call('PEXPIRE', KEYS[1], text(KEPT)) end
local function keep(key, microseconds)
  redis.call('PEXPIRE', key, text(math.ceil(microseconds / 1000) + 1000))
end
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local epoch = redis.call('HGET', KEYS[1], 'id')
if not epoch then
  epoch = ARGV[3]
  redis.call('HSET', KEYS[1], 'id', epoch, 'born', text(now))
  put_off_end_of_epoch()
end
if ARGV[2] ~= '' and ARGV[2] ~= epoch then
  local born, lost = redis.call('HGET', KEYS[1], 'born'), redis.call('HGET', KEYS[1], 'lost')
  if tonumber(born) > tonumber(lost or 0) then
    redis.call('HSET', KEYS[1], 'lost', born)
  end
end
"""

# The end of the epoch is put off where leaders and askers pass, not by every script: after a first write, the server
# lets a script go on even where its memory is full.


@dataclass(frozen=True, slots=True)
class Script:
    """A script with the name that the server knows it by.

    Args:
        body: What stands behind the common lines.
    """

    body: str = field(repr=False)
    text: str = field(init=False, repr=False)
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _HEAD + self.body)
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


# KEYS: 2 the lease. ARGV: 4 holder, 5 length.
# A fence is the time, so that it grows even over a loss of memory; one more than the last if the clock was set back.
LEASE = Script("""
local row = redis.call('HMGET', KEYS[2], 'holder', 'fence', 'ends')
local fence, ends, length = tonumber(row[2] or 0), tonumber(row[3] or 0), tonumber(ARGV[5])
if ends > now and row[1] ~= ARGV[4] then
  return {epoch, 'held', text(ends - now)}
end
if not (ends > now) then
  fence = math.max(fence + 1, now)
end
redis.call('HSET', KEYS[2], 'holder', ARGV[4], 'fence', text(fence), 'ends', text(now + length))
redis.call('PEXPIRE', KEYS[2], text(KEPT + length / 1000))
put_off_end_of_epoch()
return {epoch, 'leased', text(fence)}
""")

# KEYS: 2 the lease. ARGV: 4 holder, 5 fence. The row stays: nobody publishes with this fence any more.
RELEASE = Script("""
local row = redis.call('HMGET', KEYS[2], 'holder', 'fence')
if row[1] == ARGV[4] and row[2] == ARGV[5] then
  redis.call('HSET', KEYS[2], 'holder', '', 'ends', text(now))
end
return {epoch, 'done'}
""")

# KEYS: 2 who is there. ARGV: 4 holder, 5 length.
ATTEND = Script("""
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[5])), ARGV[4])
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
keep(KEYS[2], tonumber(last[2]) - now)
put_off_end_of_epoch()
return {epoch, 'there', text(redis.call('ZCARD', KEYS[2]))}
""")

# A budget has two keys: what was spent, and the longest window that was asked for, until which it is remembered.
_SPEND = """
local function spend(spent, longest, id, ends)
  redis.call('ZADD', spent, text(ends), id)
  local last = redis.call('ZREVRANGE', spent, 0, 0, 'WITHSCORES')
  local window = tonumber(redis.call('GET', longest) or 0)
  keep(spent, tonumber(last[2]) - now + math.max(window, 60000000))
end
"""

# KEYS: 2 and 3 the first budget, 4 and 5 the second, and so on.
# ARGV: 4 the permit's id, 5 hold; then, for each limit: number of its budget (1, 2, ...), limit, window.
TAKE = Script(
    _SPEND
    + """
-- A server that began again may have an old memory, from its disk or as a replica: what was spent last is not in it.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)')
local known = redis.call('HGET', KEYS[1], 'run')
if run and run ~= known then
  if known then
    redis.call('HSET', KEYS[1], 'lost', text(now))
  end
  redis.call('HSET', KEYS[1], 'run', run)
end
local wait, lost = 0, tonumber(redis.call('HGET', KEYS[1], 'lost') or 0)
local budgets = (#KEYS - 1) / 2
if budgets > 0 and redis.call('ZSCORE', KEYS[2], ARGV[4]) then
  return {epoch, 'taken'}  -- said before, and the answer was lost on its way
end
local longest = {}
for at = 6, #ARGV, 3 do
  local which = tonumber(ARGV[at])
  longest[which] = math.max(longest[which] or 0, tonumber(ARGV[at + 2]))
end
for which = 1, budgets do
  local spent, key = KEYS[2 * which], KEYS[2 * which + 1]
  longest[which] = math.max(longest[which], tonumber(redis.call('GET', key) or 0))
  redis.call('SET', key, text(longest[which]), 'PX', text(KEPT + longest[which] / 1000))
  redis.call('ZREMRANGEBYSCORE', spent, '-inf', text(now - longest[which]))
end
for at = 6, #ARGV, 3 do
  local spent, limit = KEYS[2 * tonumber(ARGV[at])], tonumber(ARGV[at + 1])
  local window = tonumber(ARGV[at + 2])
  if redis.call('ZCOUNT', spent, '(' .. text(now - window), '+inf') >= limit then
    local last = redis.call('ZREVRANGE', spent, limit - 1, limit - 1, 'WITHSCORES')
    wait = math.max(wait, tonumber(last[2]) + window - now, 1000)
  end
  if lost > 0 then  -- as if all of it had been spent then, and under way
    wait = math.max(wait, lost + tonumber(ARGV[5]) + window - now)
  end
end
if wait > 0 then
  return {epoch, 'wait', text(wait)}
end
for which = 1, budgets do
  spend(KEYS[2 * which], KEYS[2 * which + 1], ARGV[4], now + tonumber(ARGV[5]))
end
put_off_end_of_epoch()
return {epoch, 'taken'}
"""
)

# KEYS: as for TAKE. ARGV: 4 the permit's id.
SETTLE = Script(
    _SPEND
    + """
for which = 1, (#KEYS - 1) / 2 do
  spend(KEYS[2 * which], KEYS[2 * which + 1], ARGV[4], now)
end
return {epoch, 'done'}
"""
)

# KEYS: as for TAKE. ARGV: 4 the permit's id.
CANCEL = Script("""
for which = 1, (#KEYS - 1) / 2 do
  redis.call('ZREM', KEYS[2 * which], ARGV[4])
end
return {epoch, 'done'}
""")

# KEYS: 2 what was spent. ARGV: 4 the window.
SPENT = Script("""
local since = now - tonumber(ARGV[4])
if tonumber(redis.call('HGET', KEYS[1], 'lost') or 0) > since then
  return {epoch, 'lost'}
end
return {epoch, 'counted', text(redis.call('ZCOUNT', KEYS[2], '(' .. text(since), '+inf'))}
""")

# KEYS: 2 the lease, 3 the list. ARGV: 4 holder, 5 fence, 6 version, 7 data.
PUBLISH = Script("""
local row = redis.call('HMGET', KEYS[2], 'holder', 'fence')
if row[1] ~= ARGV[4] or row[2] ~= ARGV[5] then
  return {epoch, 'old'}
end
redis.call('HSET', KEYS[3], 'version', ARGV[6], 'at', text(now), 'data', ARGV[7])
redis.call('PEXPIRE', KEYS[3], text(KEPT))
return {epoch, 'saved'}
""")

# KEYS: 2 the list. ARGV: 4 the version that is known.
READ = Script("""
local version = redis.call('HGET', KEYS[2], 'version')
if not version or version == ARGV[4] then
  return {epoch, 'nothing'}
end
local row = redis.call('HMGET', KEYS[2], 'at', 'data')
return {epoch, 'saved', version, text(math.max(0, now - tonumber(row[1]))), row[2]}
""")
