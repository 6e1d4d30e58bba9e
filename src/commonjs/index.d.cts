// The declarations are an ES module's; with `module: node16` TypeScript does not know that Node 20.19 can require one.
// @ts-ignore
export * from './index.js';
