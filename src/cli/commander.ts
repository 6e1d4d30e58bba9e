import { createRequire } from 'node:module';
import type * as Commander from 'commander';

// Required, as it is CommonJS: to import that, Node first reads all of it for its names, which every command would wait for.
const commander = createRequire(import.meta.url)('commander') as typeof Commander;

export const { Command, CommanderError, InvalidArgumentError, Option } = commander;
export type Command = Commander.Command;
export type CommanderError = Commander.CommanderError;
export type Option = Commander.Option;
