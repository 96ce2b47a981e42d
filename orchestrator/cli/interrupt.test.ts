import { afterEach, beforeEach, expect, test } from 'vitest'
import { controlService, type StatusResponse } from '../wire/control.js'
import { listen } from '../wire/listener.js'
import { controlHandlers } from '../wire/testing/control-handlers.js'
import { interruptibly } from './interrupt.js'
import { runCommand } from './program.js'
import { servePages } from './testing/pages.js'
import { plainContext } from './testing/plain-context.js'
import { Scene } from './testing/scene.js'

// What Ctrl-C does inside the shell: the command ends, silently, and the process goes on.

let scene: Scene
let over: AbortController
beforeEach(async () => {
  scene = await Scene.open()
  over = new AbortController()
})
afterEach(() => scene.close())

test('a scan ends', async () => {
  for (let at = 0; at < 500; at++) scene.cluster.rows.set(`k${at}`, { value: Buffer.from('v'), version: 1n })
  servePages(scene.cluster, ({ kind }) => {
    if (kind === 'page') over.abort()
    return undefined
  })
  const { code, warned } = await scene.runWith({ interrupted: over.signal }, 'scan')
  expect({ code, warned }).toEqual({ code: 3, warned: '' })
})

test('a load ends, and its keys go', async () => {
  servePages(scene.cluster, ({ kind }) => {
    if (kind === 'get') over.abort()
    return undefined
  })
  const args = ['bench', '--seconds', '3600', '--keys', '10', '--clients', '2']
  const { code } = await scene.runWith({ interrupted: over.signal }, ...args)
  expect(code).toBe(0)
  expect(scene.rows).toEqual({})
})

test('a load that is being made ready ends as well', async () => {
  servePages(scene.cluster, ({ kind }) => {
    if (kind === 'put') over.abort()
    return undefined
  })
  const args = ['bench', '--seconds', '3600', '--keys', '100000', '--clients', '2']
  expect((await scene.runWith({ interrupted: over.signal }, ...args)).code).toBe(0)
  expect(scene.cluster.leader.operations.filter(({ kind }) => kind === 'put').length).toBeLessThan(1_000)
  expect(scene.rows).toEqual({})
})

test('a lease is kept alive no longer, and not revoked', async () => {
  const id = (await scene.run('lease', 'grant', '--ttl', '30s')).out.trim()
  let said = ''
  const out = (text: string) => {
    said += text
    over.abort()
  }
  const { code, warned } = await scene.runWith({ interrupted: over.signal, out }, 'lease', 'keep-alive', id)
  expect({ code, warned, said }).toEqual({ code: 3, warned: '', said: 'it lives for 30s from now on\n' })
  expect((await scene.run('lease', 'keep-alive', id, '--once')).code).toBe(0)
})

test('top ends', async () => {
  const status = async (): Promise<StatusResponse> => {
    over.abort()
    return { epoch: 1n, groups: [] }
  }
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [controlService(controlHandlers({ status }))])
  const context = plainContext({ interrupted: over.signal })
  try {
    const args = ['top', '--every', '3600', '--address', listener.address]
    expect(await runCommand(args, {}, context)).toBe(3)
    expect(context.said).toEqual({ out: '', warned: '' })
  } finally {
    await listener.close()
  }
})

test('outside it is the first signal, and nobody listens afterwards', async () => {
  const before = process.listenerCount('SIGINT')
  const heard = await interruptibly({}, async (interrupted) => {
    process.emit('SIGINT')
    return interrupted.aborted
  })
  expect(heard).toBe(true)
  expect(process.listenerCount('SIGINT')).toBe(before)
})
