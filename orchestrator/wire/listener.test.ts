import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import { isLoopback, type Listener, listen } from './listener.js'

const open: Listener[] = []
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close()
})

async function start(host: string, port = 0, insecure = false): Promise<Listener> {
  const listener = await listen({ host, port, insecure }, [])
  open.push(listener)
  return listener
}

describe('listen', () => {
  test('takes a free port and says which', async () => {
    const { address, port } = await start('localhost')
    expect(port).toBeGreaterThan(0)
    expect(address).toBe(`127.0.0.1:${port}`)
  })

  test('a port in use is a ListenError with its code', async () => {
    const { port } = await start('127.0.0.1')
    const failure = await start('127.0.0.1', port).catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'ListenError', code: 'EADDRINUSE' })
    expect(String(failure)).toContain(`127.0.0.1:${port}`)
  })

  test('an address of somebody else is a ListenError with its code', async () => {
    await expect(start('192.0.2.1', 0, true)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
  })

  test('beyond loopback only with --insecure', async () => {
    await expect(start('0.0.0.0')).rejects.toMatchObject({ code: 'NOT_LOOPBACK' })
    const { port } = await start('0.0.0.0', 0, true)
    expect(port).toBeGreaterThan(0)
  })

  test('close frees the port', async () => {
    const first = await start('127.0.0.1')
    await first.close()
    expect((await start('127.0.0.1', first.port)).port).toBe(first.port)
  })
})

test('isLoopback', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1']) expect(isLoopback(host)).toBe(true)
  const others = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter((one) => !one.internal))
  for (const host of ['0.0.0.0', '::', '127.example.org', '10.0.0.1', ...others.map(({ address }) => address)]) {
    expect(isLoopback(host)).toBe(false)
  }
})
