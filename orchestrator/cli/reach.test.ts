import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { listen } from '../wire/listener.js'
import { NoServerError, reach } from './reach.js'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return (server.address() as AddressInfo).port
}

test('a gateway is there', async () => {
  const listener = await listen({ host: '127.0.0.1', port: 0 }, [])
  await reach(listener.address)
  await listener.close()
})

test('nobody is there: told at once, with the address and what to do', async () => {
  const begin = performance.now()
  const error = await reach('127.0.0.1:1').catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(NoServerError)
  expect((error as Error).message).toBe(
    'no Kvorum server answers on 127.0.0.1:1 (nobody listens there); start one with npm start, or say --address',
  )
  expect(performance.now() - begin).toBeLessThan(1_500)
})

test('an IPv6 host is understood with and without brackets', async () => {
  for (const address of ['[::1]:1', '::1:1']) await expect(reach(address)).rejects.toThrow(NoServerError)
})

test('somebody who says nothing is given up', async () => {
  const sockets: Socket[] = []
  const port = await portOf(createServer((socket) => sockets.push(socket)))
  await expect(reach(`127.0.0.1:${port}`)).rejects.toThrow(
    `no Kvorum server answers on 127.0.0.1:${port} (nothing heard within 2000 ms); start one`,
  )
  for (const socket of sockets) socket.destroy()
})

test('of somebody who had less time than that it is not said that nobody is there', async () => {
  const sockets: Socket[] = []
  const port = await portOf(createServer((socket) => sockets.push(socket)))
  await expect(reach(`127.0.0.1:${port}`, 100)).rejects.toThrow(
    new NoServerError(`nothing was heard from 127.0.0.1:${port} within 100 ms; give it longer with --timeout`),
  )
  for (const socket of sockets) socket.destroy()
})

test('somebody who hangs up', async () => {
  const port = await portOf(createServer((socket) => socket.destroy()))
  await expect(reach(`127.0.0.1:${port}`)).rejects.toThrow(/\(it hung up\)/)
})

test('a server for something else', async () => {
  const port = await portOf(createHttpServer((_, response) => response.end('hello')))
  await expect(reach(`127.0.0.1:${port}`)).rejects.toThrow(
    /\(it does not speak gRPC: it may be the port of HTTP\/JSON \(--http-port/,
  )
})
