// npm run chaos -- --minutes 5: breaks a cluster of its own in every way it knows, and checks every answer.
import './build/node-version.mjs'

import('./build/run.mjs').then((loaded) => loaded.buildAndRun('test/chaos/main.js'))
