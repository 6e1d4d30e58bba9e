import { add, app, greet } from './tasks.ts';

const sum = await add.delay(4, 4);
const greeting = await greet.delay('world');
console.log(`add(4, 4) = ${await sum.get({ timeout: 10 })}`);
console.log(`greet('world') = ${await greeting.get({ timeout: 10 })}`);

const later = await add.applyAsync([1, 2], { countdown: 1 });
console.log(`add(1, 2), one second later = ${await later.get({ timeout: 10 })}`);

await app.close();
