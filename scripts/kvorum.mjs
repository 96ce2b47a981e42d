#!/usr/bin/env node
// npm run -s kvorum -- get k1: the command line, built first if it is not current.
import './build/node-version.mjs'

const forTests = process.argv[2] === 'chaos'

import('./build/run.mjs').then((loaded) => loaded.buildAndRun('orchestrator/cli/main.js', { forTests }))
