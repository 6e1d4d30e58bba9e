/** What became of one document. */
export const STORED = 1;
/** A SUCCESS was there already, and stays. */
export const KEPT = 0;
/** What is there is no document that the script can read: see what it is, then store with `FORCE`. */
export const UNREADABLE = 2;

/** How the script treats what is there. */
export const GUARD = 'guard';
export const FORCE = 'force';

/**
 * Stores documents, each under its key, and publishes each in the channel of that name, as Celery does with SETEX and
 * PUBLISH. One look and one write that nobody comes between: a stored SUCCESS is never overwritten.
 *
 * Its keys are those of the documents; its arguments the lifetime in milliseconds (0: for ever), how to treat what is there,
 * and the documents. The answer holds an outcome for each, or the text of an error.
 */
export const STORE_SCRIPT = `
local lifetime, mode = ARGV[1], ARGV[2]
local function state(key)
  local head = redis.pcall('GETRANGE', key, 0, 63)
  if type(head) == 'table' then return nil, head.err end
  if head == '' then return 'none' end
  return string.match(head, '^%s*{%s*"status"%s*:%s*"([^"]*)"') or 'unreadable'
end
local function store(key, document)
  local answer
  if lifetime == '0' then answer = redis.pcall('SET', key, document)
  else answer = redis.pcall('SET', key, document, 'PX', lifetime) end
  if answer.err then return answer.err end
  answer = redis.pcall('PUBLISH', key, document)
  if type(answer) == 'table' then return answer.err end
  return ${STORED}
end
local outcomes = {}
for index, key in ipairs(KEYS) do
  local before, problem
  if mode == '${FORCE}' then before = 'none' else before, problem = state(key) end
  if problem then outcomes[index] = problem
  elseif before == 'SUCCESS' then outcomes[index] = ${KEPT}
  elseif before == 'unreadable' then outcomes[index] = ${UNREADABLE}
  else outcomes[index] = store(key, ARGV[index + 2]) end
end
return outcomes
`;
