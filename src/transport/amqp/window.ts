/** The largest prefetch window that AMQP can say: `basic.qos` has 16 bits for it. */
export const LARGEST_WINDOW = 0xffff;
