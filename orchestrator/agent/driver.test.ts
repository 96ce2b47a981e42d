import { join } from 'node:path'
import { agentDriver } from '../control/drivers/agent.js'
import { driverContract } from '../control/testing/driver-contract.js'
import { silent } from '../telemetry/index.js'
import { openAgent } from './run.js'

// The program that `npm test` builds before it runs this.
const PROGRAM = join(import.meta.dirname, '..', '..', 'dist', 'bin', 'kvnode')
const settings = { logLevel: 'info', valueBytesMax: 1 << 20 }

driverContract('the driver of agents', async (data) => {
  const common = { listen: '127.0.0.1:0', insecure: false, data, program: PROGRAM, version: '1', telemetry: silent }
  const agent = await openAgent({ ...common, name: 'm1', zone: 'z1' })
  const driver = agentDriver({ agents: [agent.address], settings, telemetry: silent })
  return { driver, close: () => agent.close() }
})
