"""What Redis does at once: scripts. Each compares all that it rests on before it writes anything.

The server's run id is asked for within the script: no fail-over can come between looking at it and writing.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """A script by its text, and its name for a server that has it already."""

    text: str

    @property
    def name(self) -> str:
        """Its SHA-1, as EVALSHA names scripts."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_RUN = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')\n"

# The era that this server is in; another one where its run is not the one that the era began with, or nothing is
# known of either: then it may have lost something.
# Where a ledger is awaited, none is begun. By milliseconds, since a count could be lost with the rest.
OPEN = Script(
    _RUN
    + """
local state = redis.call('HMGET', KEYS[1], 'era', 'run', 'began', 'fence')
if not state[1] and ARGV[2] == 'await' then
  return {'none', '', state[4] or ''}
end
local era = tonumber(state[1] or '0')
local least = tonumber(ARGV[1])
if state[1] and state[2] == run and era >= least then
  return {state[1], state[3], state[4] or ''}
end
local time = redis.call('TIME')
local number = math.max(era + 1, least, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local named = string.format('%.0f', number)
local began = (ARGV[2] == 'import' and not state[1]) and '0' or time[1]
redis.call('HSET', KEYS[1], 'era', named, 'run', run, 'began', began)
return {named, began, state[4] or ''}
"""
)

# Writes accounts: each only if its last write is the one that was seen, and all in the era that was; or nothing.
WRITE = Script(
    _RUN
    + """
local state = redis.call('HMGET', KEYS[1], 'era', 'run', 'fence')
if state[3] and ARGV[2] == 'minded' then
  return {'fenced', state[3]}
end
if state[1] ~= ARGV[1] or state[2] ~= run then
  return {'era', ''}
end
for at = 3, #ARGV, 3 do
  local there = redis.call('HGET', KEYS[2], ARGV[at])
  if (there and string.match(there, '^%d+') or '0') ~= ARGV[at + 1] then
    return {'conflict', ''}
  end
end
local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'writes', 1))
for at = 3, #ARGV, 3 do
  if ARGV[at + 2] == '' then
    redis.call('HDEL', KEYS[2], ARGV[at])
  else
    redis.call('HSET', KEYS[2], ARGV[at], number .. ' ' .. ARGV[at + 2])
  end
end
return {'written', number}
"""
)
