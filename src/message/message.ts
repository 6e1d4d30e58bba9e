/** The parts of a message as they cross any broker; see Celery's "Message Protocol" page. */

/** Properties of a message beside its headers, by AMQP's names in camelCase. */
export interface MessageProperties {
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** 2 survives a restart of the broker, 1 does not. */
  readonly deliveryMode?: 1 | 2;
  readonly priority?: number;
  /** Milliseconds as text: the broker may drop the message after them. */
  readonly expiration?: string;
}

/** One message: bytes untouched, headers and properties decoded. */
export interface Envelope {
  /** Serialized, maybe compressed, body exactly as it crosses the broker. */
  readonly body: Buffer;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: MessageProperties;
  /** The headers as the broker carried them, an AMQP table (see `readTable`), where they are passed on and may stay unread. */
  readonly headerBytes?: Buffer | undefined;
}

/** Where a message came from, as shown in `request.delivery_info`. */
export interface DeliveryInfo {
  readonly exchange: string;
  readonly routing_key: string;
  readonly priority?: number | null;
  readonly redelivered?: boolean | null;
}

/** Headers of a task message, protocol 2, by their names on the wire. */
export interface TaskHeaders {
  readonly lang: string;
  readonly task: string;
  readonly id: string;
  readonly shadow: string | null;
  /** ISO-8601, not before. */
  readonly eta: string | null;
  /** ISO-8601, revoked after. */
  readonly expires: string | null;
  readonly group: string | null;
  readonly group_index: number | null;
  readonly retries: number;
  /** `[hard, soft]` in seconds. */
  readonly timelimit: readonly [number | null, number | null];
  readonly root_id: string | null;
  readonly parent_id: string | null;
  readonly argsrepr: string;
  readonly kwargsrepr: string;
  readonly origin: string;
  readonly ignore_result: boolean;
  readonly replaced_task_nesting: number;
  readonly stamped_headers: readonly string[] | null;
  readonly stamps: Readonly<Record<string, unknown>>;
}

/** A signature in its JSON form: one call, not yet made. */
export interface SignatureJson {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly subtask_type: string | null;
  readonly immutable: boolean;
}

/** Third part of the body: what follows this task. `chain` is reversed, the next step is its last element. */
export interface Embed {
  readonly callbacks: readonly SignatureJson[] | null;
  readonly errbacks: readonly SignatureJson[] | null;
  readonly chain: readonly SignatureJson[] | null;
  readonly chord: SignatureJson | null;
}

/** Decoded body of a task message. */
export interface TaskBody {
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly embed: Embed;
}
