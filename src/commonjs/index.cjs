'use strict';
// tsx compiles what CommonJS code requires into a second copy, in which `instanceof` fails. The worker therefore leaves the
// one copy it runs on in this slot before it loads an app; without it (a plain `require`) Node loads the ES module itself.
module.exports = globalThis[Symbol.for('celery-ts')] ?? require('./index.js');
