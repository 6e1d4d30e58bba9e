import { DecodeError } from '../core/errors.ts';
import { EXCEPTION_STATES } from '../core/states.ts';
import { isoUtc, parseIso } from '../core/time.ts';
import { encodeJson } from './json.ts';
import { jsonMembers } from './json-members.ts';
import type { EncodedValue, ResultTuple } from './outcome.ts';
import { decodeValue, encodeValue, serializerByName } from './registry.ts';
import { errorFromJson, errorToJson } from './remote-error.ts';
import type { ExtendedMeta, ResultMeta } from './result-meta.ts';

/** `key-value` is the document that is stored, `rpc` the shorter one that is sent to the caller. */
export type MetaForm = 'key-value' | 'rpc';

/**
 * The result document as Celery's clients read it. A value that is encoded already is put in as it is.
 * @param serializer name of the result serializer
 * @throws {EncodeError} when a part has no form in the serializer
 */
export function encodeMeta(meta: ResultMeta, form: MetaForm, serializer: string): Buffer {
  const writer = new DocumentWriter(serializer);
  if (form === 'rpc') writer.member('task_id', meta.taskId);
  writer.member('status', meta.status);
  if (meta.error !== null) writer.member('result', errorToJson(meta.error));
  else writer.encoded('result', meta.result);
  writer.member('traceback', meta.traceback);
  writer.member('children', meta.children);
  if (form === 'rpc') return writer.end();
  writer.member('date_done', meta.dateDone === null ? null : isoUtc(meta.dateDone));
  if (meta.groupId !== null) writer.member('group_id', meta.groupId);
  if (meta.parentId !== null) writer.member('parent_id', meta.parentId);
  if (meta.extended !== null) extendedMembers(writer, meta.extended);
  writer.member('task_id', meta.taskId);
  return writer.end();
}

function extendedMembers(writer: DocumentWriter, extended: ExtendedMeta): void {
  writer.member('name', extended.name);
  writer.encoded('args', extended.args);
  writer.encoded('kwargs', extended.kwargs);
  writer.member('worker', extended.worker);
  writer.member('retries', extended.retries);
  writer.member('queue', extended.queue);
  if (extended.stampedHeaders === undefined) return;
  writer.member('stamped_headers', extended.stampedHeaders);
  for (const [name, value] of Object.entries(extended.stamps ?? {})) writer.member(name, value);
}

/** Puts a document together of parts, some of which are bytes already. */
class DocumentWriter {
  readonly #serializer: string;
  readonly #parts: Buffer[] = [];
  #text = '{';

  constructor(serializer: string) {
    // Throws when there is none of that name; the documents themselves are JSON.
    this.#serializer = serializerByName(serializer).name;
  }

  member(name: string, value: unknown): void {
    this.#text += `${this.#key(name)}${encodeJson(value)}`;
  }

  encoded(name: string, value: EncodedValue | null): void {
    if (value === null) {
      this.member(name, null);
      return;
    }
    const { bytes } =
      value.serializer === this.#serializer ? value : encodeValue(decodeValue(value), this.#serializer);
    this.#parts.push(Buffer.from(this.#text + this.#key(name), 'utf8'), bytes);
    this.#text = '';
  }

  end(): Buffer {
    const last = Buffer.from(`${this.#text}}`, 'utf8');
    return this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
  }

  #key(name: string): string {
    const separator = this.#text === '{' ? '' : ',';
    return `${separator}${JSON.stringify(name)}:`;
  }
}

/**
 * Reads a result document of either form; the value itself stays encoded.
 * @throws {DecodeError} when the bytes are not such a document
 */
export function decodeMeta(bytes: Buffer, serializer: string): ResultMeta {
  const reader = new DocumentReader(bytes, serializer);
  const status = reader.text('status');
  const taskId = reader.text('task_id');
  if (status === null) throw new DecodeError("a result document without 'status'");
  const traceback = reader.text('traceback');
  const error = EXCEPTION_STATES.has(status) ? errorFromJson(reader.value('result'), traceback) : undefined;
  const done = reader.text('date_done');
  return {
    taskId: taskId ?? '',
    status,
    result: error === undefined ? reader.encoded('result') : null,
    error: error ?? null,
    traceback,
    children: reader.children(),
    dateDone: done === null ? null : new Date(parseIso(done)),
    groupId: reader.text('group_id'),
    parentId: reader.text('parent_id'),
    extended: reader.extended(),
  };
}

const QUOTE = 0x22;

class DocumentReader {
  readonly #members: Map<string, Buffer>;
  readonly #serializer: string;

  constructor(bytes: Buffer, serializer: string) {
    this.#serializer = serializerByName(serializer).name;
    this.#members = jsonMembers(bytes);
  }

  value(name: string): unknown {
    const bytes = this.#members.get(name);
    return bytes === undefined ? null : serializerByName(this.#serializer).decode(bytes);
  }

  text(name: string): string | null {
    // Most are null, which need not be decoded.
    const value = this.#members.get(name)?.[0] === QUOTE ? this.value(name) : null;
    return typeof value === 'string' ? value : null;
  }

  /** Null for null as well, which says the same in fewer bytes. */
  encoded(name: string): EncodedValue | null {
    const bytes = this.#members.get(name);
    if (bytes === undefined || (bytes.length === 4 && bytes.toString('latin1') === 'null')) return null;
    return { serializer: this.#serializer, bytes };
  }

  children(): readonly ResultTuple[] | null {
    const value = this.value('children');
    return Array.isArray(value) && value.every(isResultTuple) ? value : null;
  }

  extended(): ExtendedMeta | null {
    const name = this.text('name');
    if (name === null) return null;
    const retries = this.value('retries');
    const stamped = this.value('stamped_headers');
    return {
      name,
      args: this.encoded('args'),
      kwargs: this.encoded('kwargs'),
      worker: this.text('worker') ?? '',
      retries: typeof retries === 'number' ? retries : 0,
      queue: this.text('queue'),
      ...(Array.isArray(stamped) ? this.#stamps(stamped) : undefined),
    };
  }

  #stamps(names: readonly unknown[]): Pick<ExtendedMeta, 'stampedHeaders' | 'stamps'> {
    const stampedHeaders = names.filter((name): name is string => typeof name === 'string');
    return {
      stampedHeaders,
      stamps: Object.fromEntries(stampedHeaders.map((name) => [name, this.value(name)])),
    };
  }
}

/** `[[id, parent], children]`. */
function isResultTuple(value: unknown): value is ResultTuple {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [own, children] = value as readonly unknown[];
  if (!Array.isArray(own) || typeof own[0] !== 'string') return false;
  return children === null || (Array.isArray(children) && children.every(isResultTuple));
}
