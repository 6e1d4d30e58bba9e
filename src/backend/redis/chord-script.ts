/** How long what only we know is kept where results are kept for ever: Celery's workers do not remove it. */
const OWN_LIFETIME_S = 86_400;

/**
 * Counts the members of a chord as Celery's workers do, so that both can count in one: `.j` holds those that have ended, sorted by
 * their place in the header, or a list in the order of their ends; `.s` how many there are, `.t` how many were added since.
 *
 * Unlike Celery's own count, one member counts once. Sorted, those at its place are looked at; in a list, or where a member
 * cannot be read here, `.u` keeps the ids of those that we counted. `.c` holds the member that was told of the end.
 *
 * Its keys are `.j`, `.t`, `.s`, `.u` and `.c`. Its arguments: the lifetime in milliseconds (0: for ever), the task id, the
 * place (`list`: in a list), the member, and how members of that id may begin. The answer is the number of members when this one
 * was the last, else 0.
 */
export const COUNT_SCRIPT = `
local members, added, size, ids, last = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local lifetime, id, place, member = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local function known()
  if place == 'list' or #ARGV == 4 then return redis.call('SADD', ids, id) == 0 end
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', members, place, place)) do
    for index = 5, #ARGV do
      if string.sub(other, 1, #ARGV[index]) == ARGV[index] then return true end
    end
  end
  return false
end
local function count()
  if place == 'list' then return redis.call('LLEN', members) end
  return redis.call('ZCARD', members)
end
if not known() then
  if place == 'list' then redis.call('RPUSH', members, member) else redis.call('ZADD', members, place, member) end
end
local total = redis.call('GET', size)
if total then
  total = tonumber(total) + tonumber(redis.call('GET', added) or '0')
  if count() >= total and redis.call('SETNX', last, id) == 0 and redis.call('GET', last) ~= id then total = false
  elseif count() < total then total = false end
end
if lifetime ~= '0' then
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, lifetime) end
else
  for _, key in ipairs({ ids, last }) do redis.call('EXPIRE', key, ${OWN_LIFETIME_S}) end
end
return total or 0
`;

/**
 * Takes out what was counted twice, by a worker that does not look. Its keys are those above, its arguments whether the members
 * are a list, and the surplus. The answer is 1 when there are still enough, else 0: another one is going to be the last.
 */
export const CORRECT_SCRIPT = `
local members, added, size, last = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local count
for index = 2, #ARGV do
  if ARGV[1] == 'list' then redis.call('LREM', members, -1, ARGV[index]) else redis.call('ZREM', members, ARGV[index]) end
end
if ARGV[1] == 'list' then count = redis.call('LLEN', members) else count = redis.call('ZCARD', members) end
local total = tonumber(redis.call('GET', size) or '0') + tonumber(redis.call('GET', added) or '0')
if count >= total then return 1 end
redis.call('DEL', last)
return 0
`;
