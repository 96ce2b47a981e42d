import { expect, test, vi } from 'vitest'
import type { Telemetry } from '../../telemetry/index.js'
import type { Fleet } from '../fleet.js'
import { ScaledClock } from '../testing/scaled-clock.js'
import type { Operations } from './operations.js'
import { Replacer } from './replacer.js'

test('goes on when what is left over cannot be forgotten, as on a full disk, and says so', async () => {
  const sweep = vi.fn(() => Promise.reject(new Error('ENOSPC: no space left on device')))
  const hearing = { silent: { machines: [], of: 0 }, isCutOff: false, silentMs: () => undefined }
  const fleet = { all: [], listen: () => {}, sweep, hearing } as unknown as Fleet
  const told: unknown[] = []
  const telemetry: Telemetry = { emit: (name, event) => told.push([name, event]), enabled: () => true }
  const operations = {} as Operations
  const replacer = new Replacer({ fleet, operations, telemetry, clock: new ScaledClock(), stopTimeoutMs: 1 })
  replacer.start()
  await vi.waitFor(() => expect(sweep.mock.calls.length).toBeGreaterThan(1), { timeout: 5_000 })
  await replacer.close()
  expect(told[0]).toMatchObject([
    'fault',
    { where: 'replacing nodes', error: new Error('ENOSPC: no space left on device') },
  ])
})
