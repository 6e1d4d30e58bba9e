import { createRequire } from 'node:module';
import type * as Acorn from 'acorn';
import type { AnyTask, TaskFunction } from './task.ts';

/** One parameter of a function as its source spells it. */
interface Parameter {
  /** Undefined for one that destructures. */
  readonly name: string | undefined;
  /** It has a default. */
  readonly optional: boolean;
  /** Names that an object pattern takes; undefined for other parameters. */
  readonly keys: readonly string[] | undefined;
  /** The object pattern has `...rest`, and so takes any name. */
  readonly anyKey: boolean;
}

/** What a function takes. */
interface Signature {
  readonly parameters: readonly Parameter[];
  /** It ends in `...rest`. */
  readonly rest: boolean;
}

type Kwargs = Readonly<Record<string, unknown>>;

/**
 * Checks a call against the parameters of the task's function, as Python checks a call; not with `typing: false`.
 *
 * TypeScript's `y?: number` leaves no trace in a running program: a parameter that may be left out needs a default.
 * @throws {TypeError} in Python's words: `add() missing 1 required positional argument: 'y'`
 */
export function checkArguments(task: AnyTask, args: readonly unknown[], kwargs: Kwargs): void {
  if (!task.options.typing) return;
  const signature = signatureOf(task);
  if (signature === undefined) return;
  if (args.length === signature.parameters.length && Object.keys(kwargs).length === 0) return;
  const problem = misfit(signature, args, kwargs);
  if (problem !== undefined) throw new TypeError(`${displayName(task.name)}() ${problem}`);
}

/**
 * The arguments to call the task's function with: keyword arguments at the places of the parameters of their names.
 * @throws {TypeError} they do not fit, unless `typing: false`
 */
export function bindArguments(task: AnyTask, args: readonly unknown[], kwargs: Kwargs): unknown[] {
  if (Object.keys(kwargs).length === 0) {
    checkArguments(task, args, kwargs);
    return [...args];
  }
  checkArguments(task, args, kwargs);
  const signature = signatureOf(task);
  return signature === undefined ? [...args, { ...kwargs }] : placed(signature, args, kwargs);
}

/** How many arguments the task's function takes at most, `self` not counted. */
export function mostArguments(task: AnyTask): number {
  const signature = signatureOf(task);
  if (signature === undefined) return task.run.length;
  return signature.rest ? Infinity : signature.parameters.length;
}

function placed({ parameters }: Signature, args: readonly unknown[], kwargs: Kwargs): unknown[] {
  const bound: unknown[] = [...args];
  const left = new Map(Object.entries(kwargs));
  for (const [index, { name }] of parameters.entries()) {
    if (name === undefined || !left.has(name) || index < args.length) continue;
    bound[index] = left.get(name);
    left.delete(name);
  }
  const pattern = parameters.findIndex(
    (parameter, index) => parameter.keys !== undefined && index >= args.length,
  );
  if (left.size > 0 && pattern !== -1) bound[pattern] = Object.fromEntries(left);
  return Array.from(bound);
}

/** What Python would say of the call, without the name; undefined when it fits. */
function misfit(signature: Signature, args: readonly unknown[], kwargs: Kwargs): string | undefined {
  const { parameters, rest } = signature;
  const open = parameters.slice(args.length);
  const taken = new Set(parameters.slice(0, args.length).map(({ name }) => name));
  for (const key of Object.keys(kwargs)) {
    if (taken.has(key)) return `got multiple values for argument '${key}'`;
    if (!open.some((parameter) => accepts(parameter, key)))
      return `got an unexpected keyword argument '${key}'`;
  }
  if (!rest && args.length > parameters.length) return tooMany(parameters, args.length);
  const missing = open.filter((parameter) => !parameter.optional && !isGiven(parameter, kwargs));
  return missing.length === 0 ? undefined : tooFew(missing, parameters);
}

function accepts({ name, keys, anyKey }: Parameter, key: string): boolean {
  return name === key || anyKey || keys?.includes(key) === true;
}

function isGiven({ name, keys }: Parameter, kwargs: Kwargs): boolean {
  // Which members of an object may be left out is not to be seen: any keyword argument makes the object.
  if (keys !== undefined) return Object.keys(kwargs).length > 0;
  return name !== undefined && Object.hasOwn(kwargs, name);
}

function tooFew(missing: readonly Parameter[], all: readonly Parameter[]): string {
  const names = missing.map((parameter) => `'${parameter.name ?? `argument ${all.indexOf(parameter) + 1}`}'`);
  const last = names.at(-1) ?? '';
  const listed = names.length < 3 ? names.join(' and ') : `${names.slice(0, -1).join(', ')}, and ${last}`;
  return `missing ${names.length} required positional argument${names.length === 1 ? '' : 's'}: ${listed}`;
}

function tooMany(parameters: readonly Parameter[], given: number): string {
  const most = parameters.length;
  const least = parameters.filter((parameter) => !parameter.optional).length;
  const takes = least === most ? String(most) : `from ${least} to ${most}`;
  return (
    `takes ${takes} positional argument${most === 1 ? '' : 's'} ` +
    `but ${given} ${given === 1 ? 'was' : 'were'} given`
  );
}

/** `tasks.add` → `add`: a task's function mostly has no name of its own. */
function displayName(task: string): string {
  return task.slice(task.lastIndexOf('.') + 1);
}

interface KnownSignature {
  readonly whole: Signature | undefined;
  /** What is left when the first parameter is `self`. */
  readonly bound: Signature | undefined;
}

const signatures = new WeakMap<TaskFunction, KnownSignature>();

/** Undefined when the source cannot be read (`bind()`, native functions): then nothing is checked. */
function signatureOf(task: AnyTask): Signature | undefined {
  let known = signatures.get(task.run);
  if (known === undefined) {
    const whole = readSignature(task.run);
    known = { whole, bound: whole && { ...whole, parameters: whole.parameters.slice(1) } };
    signatures.set(task.run, known);
  }
  return task.options.bind ? known.bound : known.whole;
}

function readSignature(run: TaskFunction): Signature | undefined {
  const source = Function.prototype.toString.call(run);
  // The second form reads methods: `add(x, y) { … }`.
  const node = parse(`(${source})`) ?? parse(`({ ${source} })`) ?? parse(`({ async ${source} })`);
  if (node === undefined) return undefined;
  const rest = node.params.at(-1)?.type === 'RestElement';
  const params = rest ? node.params.slice(0, -1) : node.params;
  return { parameters: params.map(readParameter), rest };
}

function parse(source: string): Acorn.Function | undefined {
  const { parseExpressionAt } = acorn();
  try {
    const node = parseExpressionAt(source, 0, { ecmaVersion: 'latest', allowAwaitOutsideFunction: true });
    return functionIn(node);
  } catch {
    // Not this form of function, or none that has a source.
    return undefined;
  }
}

function functionIn(node: Acorn.Expression): Acorn.Function | undefined {
  if (node.type === 'ArrowFunctionExpression' || node.type === 'FunctionExpression') return node;
  const property = node.type === 'ObjectExpression' ? node.properties[0] : undefined;
  return property?.type === 'Property' ? functionIn(property.value) : undefined;
}

function readParameter(node: Acorn.Pattern): Parameter {
  if (node.type === 'AssignmentPattern') return { ...readParameter(node.left), optional: true };
  const none = { name: undefined, optional: false, keys: undefined, anyKey: false };
  if (node.type === 'Identifier') return { ...none, name: node.name };
  if (node.type !== 'ObjectPattern') return none;
  const keys = node.properties.flatMap((property) =>
    property.type === 'Property' && !property.computed ? [keyOf(property.key)] : [],
  );
  return { ...none, keys, anyKey: node.properties.some(({ type }) => type === 'RestElement') };
}

function keyOf(key: Acorn.Expression | Acorn.PrivateIdentifier): string {
  if (key.type === 'Identifier') return key.name;
  return key.type === 'Literal' ? String(key.value) : '';
}

let loaded: typeof Acorn | undefined;

/** Loads what the first check of a call would have to wait for. */
export function prepareChecks(): void {
  acorn();
}

/** Loaded when the first call is checked: a program that only sends tasks by name never needs it. */
function acorn(): typeof Acorn {
  loaded ??= createRequire(import.meta.url)('acorn') as typeof Acorn;
  return loaded;
}
