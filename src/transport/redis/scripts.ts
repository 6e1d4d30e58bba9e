import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A Lua script and the name that the server keeps it by. */
interface Script {
  readonly lua: string;
  readonly sha: string;
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** Runs a script by its name; sends its text only when the server does not know it yet. */
export async function runScript(
  client: Redis,
  { lua, sha }: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.eval(lua, keys.length, ...keys, ...args);
  }
}

// The server's clock, so that those of the workers need not agree. Python scores with its own time(): kombu needs clocks that
// agree to within its visibility timeout anyway.
const NOW = `
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000`;

/**
 * Leaves the score behind, which no other script gives: the answer may never arrive, and nobody would know then who holds what
 * has it. The last few are enough, for a connection has few scripts under way.
 */
const RECEIPT = `redis.call('LPUSH', KEYS[4], ends) redis.call('LTRIM', KEYS[4], 0, 31) redis.call('PEXPIRE', KEYS[4], ARGV[1])`;

/** So many messages at once are worth a faster index. */
const MANY = 10;

/**
 * Takes messages and records them as held, in one step: whoever dies, before or after, leaves every message either in its list
 * or in `unacked`, in kombu's form `[envelope, exchange, routing key]`. The envelope is copied as text, never re-encoded.
 *
 * KEYS: unacked, index, leases, receipts, then the lists, those of the most urgent step first.
 * ARGV: lease in milliseconds, room, limit of each queue without acknowledgement, number of queues, 1 when the first queue
 * may take all the room, then 1 for each queue without acknowledgement.
 * Returns the score of all, then place of the queue, delivery tag and envelope of each message, flat.
 */
export const TAKE = script(`${NOW}
local unacked, index, leases = KEYS[1], KEYS[2], KEYS[3]
local room, limit, queues, ordered = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
-- A key of another kind must show before anything was popped.
redis.call('HLEN', unacked) redis.call('ZCARD', index) redis.call('ZCARD', leases)
local ends = string.format('%.6f', now + ARGV[1] / 1000)
local out, made, recorded = { ends }, 0, false

-- The end of an envelope as kombu and we write it; anything else is decoded. (A plain find first is three times faster.)
local TAIL = '^"delivery_info": ?{"exchange": ?("[^"\\\\]*"), ?"routing_key": ?("[^"\\\\]*")}, ?'
  .. '"priority": ?%d+, ?"body_encoding": ?"base64", ?"delivery_tag": ?"([^"\\\\]+)"}}$'

local function read(envelope, queue)
  local at = string.find(envelope, '"delivery_info"', -700, true)
  if at then
    local exchange, key, tag = string.match(envelope, TAIL, at)
    if tag then return envelope, exchange, key, tag end
  end
  local fine, message = pcall(cjson.decode, envelope)
  local properties = fine and type(message) == 'table' and message.properties
  if type(properties) == 'table' and type(properties.delivery_tag) == 'string' then
    local info = type(properties.delivery_info) == 'table' and properties.delivery_info or {}
    local function text(value) return cjson.encode(type(value) == 'string' and value or '') end
    return envelope, text(info.exchange), text(info.routing_key), properties.delivery_tag
  end
  -- No message at all: kept as a text, with the list it came from.
  return cjson.encode(envelope), '""', cjson.encode(queue), 'malformed'
end

-- To the server a sorted set of a few short members is a list: each new one walks through it and reads every score as a
-- text, 8 microseconds instead of 1. A member of more than 64 bytes makes it a tree, which it stays until it is empty.
local LONG = string.rep('-', 65)

local function add(key, scores)
  if #scores < ${MANY * 2} then return redis.call('ZADD', key, unpack(scores)) end
  redis.call('ZADD', key, '+inf', LONG, unpack(scores))
  redis.call('ZREM', key, LONG)
end

local function record(place, list, found)
  local scores = {}
  for at = #found, 1, -1 do
    local envelope, exchange, key, tag = read(found[at], list)
    local value = '[' .. envelope .. ', ' .. exchange .. ', ' .. key .. ']'
    -- kombu gives the copies of one message in several queues the same tag.
    while redis.call('HSETNX', unacked, tag, value) == 0 do
      made = made + 1
      tag = tag .. '.' .. ends .. '.' .. made
    end
    scores[#scores + 1] = ends
    scores[#scores + 1] = tag
    out[#out + 1] = place
    out[#out + 1] = tag
    out[#out + 1] = found[at]
  end
  add(index, scores)
  add(leases, scores)
  recorded = true
end

-- A list of another kind: an error, but not before those that were taken have arrived.
local problem

local function pop(place, list, most, loose)
  local found = redis.pcall('LRANGE', list, -most, -1)
  if found.err then
    problem = found
    return 0
  end
  if #found == 0 then return 0 end
  redis.call('LTRIM', list, 0, -(#found + 1))
  if loose then
    for at = #found, 1, -1 do
      out[#out + 1] = place
      out[#out + 1] = ''
      out[#out + 1] = found[at]
    end
  else
    record(place, list, found)
  end
  return #found
end

local left = {}
for place = 1, queues do left[place] = limit end
for first = 5, #KEYS, queues do
  local hungry = {}
  for place = 1, queues do
    if ARGV[5 + place] == '1' then
      if left[place] > 0 then
        left[place] = left[place] - pop(place, KEYS[first + place - 1], left[place], true)
      end
    else
      hungry[#hungry + 1] = place
    end
  end
  -- An equal share for each queue, and what some do not use for the others.
  while room > 0 and #hungry > 0 do
    local more = {}
    for at, place in ipairs(hungry) do
      local share = ordered and room or math.ceil(room / (#hungry - at + 1))
      if share < 1 then break end
      local count = pop(place, KEYS[first + place - 1], share, false)
      room = room - count
      if count == share then more[#more + 1] = place end
    end
    hungry = more
  end
end
if recorded then
  ${RECEIPT}
end
if problem and #out == 1 then return problem end
return out`);

/** Forgets held messages. KEYS: unacked, index, leases. ARGV: tags. */
export const ACK = script(`
redis.call('ZREM', KEYS[2], unpack(ARGV))
redis.call('ZREM', KEYS[3], unpack(ARGV))
return redis.call('HDEL', KEYS[1], unpack(ARGV))`);

/**
 * Holds on to messages. Never adds one: what was acknowledged must not come back, and what somebody else has taken, which its
 * score shows, is his.
 *
 * KEYS: unacked, index, leases, receipts. ARGV: lease in milliseconds, then tag and score of each.
 * Returns the new score of all, then the tags that are not ours any more.
 */
export const RENEW = script(`${NOW}
local ends = string.format('%.6f', now + ARGV[1] / 1000)
local out = { ends }
-- A server whose memory is full refuses only scripts that begin with what may take more; holding on must go on.
redis.call('ZREM', KEYS[3], '')
for at = 2, #ARGV, 2 do
  local tag = ARGV[at]
  local score = redis.call('ZSCORE', KEYS[2], tag)
  if score and tonumber(score) == tonumber(ARGV[at + 1]) then
    redis.call('ZADD', KEYS[2], 'XX', ends, tag)
    redis.call('ZADD', KEYS[3], 'XX', ends, tag)
  else
    out[#out + 1] = tag
  end
end
${RECEIPT}
return out`);

/**
 * What a lost connection holds by the scores that it left behind.
 *
 * KEYS: unacked, index, leases, receipts.
 * Returns tag and score of each, flat.
 */
export const FIND_HELD = script(`
local out = {}
for _, ends in ipairs(redis.call('LRANGE', KEYS[4], 0, -1)) do
  for _, tag in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], ends, ends)) do
    local score = redis.call('ZSCORE', KEYS[2], tag)
    if score and tonumber(score) == tonumber(ends) then
      out[#out + 1] = tag
      out[#out + 1] = ends
    end
  end
end
return out`);

/**
 * Holds of ours that have ended.
 *
 * KEYS: unacked, index, leases. ARGV: how many at most.
 * Returns tag and score of each, flat.
 */
export const FIND_LAPSED = script(`${NOW}
local index, leases = KEYS[2], KEYS[3]
local out = {}
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local score = redis.call('ZSCORE', index, tag)
  -- Another score in kombu's index: a Python worker has taken it since, which has its own, longer time.
  if score and score == redis.call('ZSCORE', leases, tag) then
    out[#out + 1] = tag
    out[#out + 1] = score
  else
    redis.call('ZREM', leases, tag)
  end
end
return out`);

/**
 * What nobody holds any more by kombu's own rule.
 *
 * KEYS: unacked, index, leases. ARGV: visibility timeout in milliseconds, how many to pass over, how many at most.
 * Returns tag, score and record of each, flat.
 */
export const FIND_ABANDONED = script(`${NOW}
local unacked, index, leases = KEYS[1], KEYS[2], KEYS[3]
local out = {}
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now - ARGV[1] / 1000, 'LIMIT', ARGV[2], ARGV[3])) do
  local record = redis.call('HGET', unacked, tag)
  if record then
    out[#out + 1] = tag
    out[#out + 1] = redis.call('ZSCORE', index, tag)
    out[#out + 1] = record
  else
    redis.call('ZREM', index, tag)
    redis.call('ZREM', leases, tag)
  end
end
return out`);

/**
 * Puts one held message back, or forgets it when there are no lists, unless it was settled or taken meanwhile.
 *
 * KEYS: unacked, index, leases, lists. ARGV: tag, score, LPUSH or RPUSH, envelope.
 */
export const PUT_BACK = script(`
local unacked, index, leases, tag = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local score = redis.call('ZSCORE', index, tag)
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', index, tag)
redis.call('ZREM', leases, tag)
if redis.call('HDEL', unacked, tag) == 0 then return 0 end
for at = 4, #KEYS do redis.call(ARGV[3], KEYS[at], ARGV[4]) end
return 1`);

/**
 * Puts a message into a queue as long as it is bound: a list that is made after its queue was deleted would stay for ever.
 *
 * KEYS: bindings, list. ARGV: binding, envelope.
 */
export const PUSH_BOUND = script(`
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('LPUSH', KEYS[2], ARGV[2])`);

/** Lets a temporary queue last from now. KEYS: temporary queues. ARGV: seconds, entry. */
export const KEEP_TEMPORARY = script(`${NOW}
return redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])`);

/** Entries of temporary queues that have ended, some of them. KEYS: temporary queues. */
export const FIND_ENDED = script(`${NOW}
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)`);
