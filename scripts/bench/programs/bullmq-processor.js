import { tasks } from './work.js';

export const process = async ({ name, data }) => tasks[name](...data.args);

// The sandbox of BullMQ wants it so.
export default process;
