// One load generator, in a process of its own. It has the lowest priority, so that the servers, which share the machine
// with it, get the processor whenever they want it.
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
import { batchLoad } from './batch-load.js'
import type { Load } from './protocol.js'
import { unaryLoad } from './unary-load.js'

setPriority(constants.priority.PRIORITY_LOW)
process.send?.('ready')
const [load] = (await once(process, 'message')) as [Load]
process.send?.(await (load.kind === 'batch' ? batchLoad(load) : unaryLoad(load)), () => process.exit())
