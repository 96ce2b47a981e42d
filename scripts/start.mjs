// npm start: installs and builds what is not current, then runs the orchestrator in this same process, so that there
// is nobody to forward signals to. package.json starts it by `exec` for the same reason: the shell that npm puts between
// would take npm's SIGTERM, end, and leave us running.
import './build/node-version.mjs'

import('./build/run.mjs').then((loaded) => loaded.buildAndRun('orchestrator/main.js'))
