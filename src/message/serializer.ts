/** How a serializer puts the bytes of another one into its own form: `auth`, which signs them. */
export interface Wrapping {
  /** What the values are encoded with. */
  readonly inner: Serializer;
  wrap(bytes: Buffer): Buffer;
  /**
   * What was wrapped, and what reads it.
   * @throws {SecurityError} when it is not to be trusted
   */
  unwrap(body: Buffer): { readonly serializer: Serializer; readonly bytes: Buffer };
}

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
  /**
   * `revive(parse(body))`.
   * @throws {DecodeError} when the bytes are not of this form.
   */
  decode(body: Buffer): unknown;
  /**
   * Decodes, but leaves typed extras (dates, bytes, …) in the form they have on the wire, so that what is only passed on
   * encodes to what it was.
   * @throws {DecodeError} when the bytes are not of this form.
   */
  parse(body: Buffer): unknown;
  /**
   * Makes values of the typed extras in what `parse` returned, which may be changed in place.
   * @throws {DecodeError} for an extra of an unknown type.
   */
  revive(value: unknown): unknown;
  /** Only of a serializer around another one. */
  readonly wrapping?: Wrapping;
}
