/** A serializer by its name in `task_serializer` and its content type on the wire. */
export interface Serializer {
  /** As in settings, e.g. `json`. */
  readonly name: string;
  /** As in messages, e.g. `application/json`. */
  readonly contentType: string;
  /** `utf-8` or `binary`. */
  readonly contentEncoding: string;
  /** @throws {EncodeError} when a value has no form in this serializer; the message names the value's place. */
  encode(value: unknown): Buffer;
  /** @throws {DecodeError} when the bytes are not of this form. */
  decode(body: Buffer): unknown;
}
