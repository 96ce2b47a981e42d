// RequestWrapper as the README shows it, over restarts of the server, and from a program of its own.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { KvError } from '../../orchestrator/errors/index.js'
import { Cluster } from '../harness/cluster.js'
import { ROOT } from '../harness/root.js'
import { within } from '../harness/wait.js'

const run = promisify(execFile)

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 1, replicas: 1 })
})
afterAll(() => cluster?.dispose())

async function withWrapper(options: { deadlineMs?: number }, work: (wrapper: RequestWrapper) => Promise<void>) {
  const wrapper = new RequestWrapper(cluster.address, options)
  try {
    await work(wrapper)
  } finally {
    wrapper.close()
  }
}

test('put, get and delete; absent is null', async () => {
  await withWrapper({}, async (wrapper) => {
    await wrapper.put('k3', 'v3')
    expect(await wrapper.get('k3')).toBe('v3')
    await wrapper.delete('k3')
    expect(await wrapper.get('k3')).toBeNull()
    for (const text of ['', '\0', '日本', '👩‍👩‍👧']) {
      await wrapper.put('text', text)
      expect(await wrapper.get('text')).toBe(text)
    }
  })
})

test('many at once are answered each with its own', async () => {
  await withWrapper({}, async (wrapper) => {
    const names = Array.from({ length: 500 }, (_, i) => `many-${i}`)
    await Promise.all(names.map((name) => wrapper.put(name, name)))
    expect(await Promise.all(names.map((name) => wrapper.get(name)))).toEqual(names)
  })
})

test('a wrapper outlives its server: orderly restart and kill -9', async () => {
  await withWrapper({ deadlineMs: 20_000 }, async (wrapper) => {
    await wrapper.put('before', 'v')
    for (const how of ['SIGINT', 'SIGKILL'] as const) {
      await cluster.stop(how)
      // Asked while nobody is there: reads wait for the server within their deadline.
      const early = wrapper.get('before')
      await cluster.restart()
      expect(await early).toBe('v')
      await wrapper.put('after', how)
      expect(await wrapper.get('after')).toBe(how)
    }
  })
})

test('without a server every call ends at its deadline, with an error that says what is known', async () => {
  await cluster.stop()
  await withWrapper({ deadlineMs: 500 }, async (wrapper) => {
    const calls = [wrapper.get('k'), wrapper.put('k', 'v'), wrapper.delete('k')]
    const ends = await within('calls without a server', 10_000, Promise.allSettled(calls))
    for (const end of ends) {
      const error: unknown = end.status === 'rejected' ? end.reason : undefined
      expect(error).toBeInstanceOf(KvError)
      // Nobody was there to apply anything.
      expect(error).toMatchObject({ outcome: 'not-applied' })
    }
  })
  await cluster.restart()
})

test('mistakes of the program are TypeErrors, and a closed wrapper says so', async () => {
  const wrapper = new RequestWrapper(cluster.address)
  await expect(wrapper.put('k', 7 as unknown as string)).rejects.toThrow(TypeError)
  await expect(wrapper.get('\ud800')).rejects.toThrow(TypeError)
  wrapper.close()
  await expect(wrapper.get('k')).rejects.toThrow()
})

test('as a package, in a program that ends by itself once the wrapper is closed', async () => {
  const program = `
    import { RequestWrapper } from 'kvorum'
    const t = new RequestWrapper(process.argv[1])
    await t.put('k3', 'v3'); console.log(await t.get('k3'))
    await t.delete('k3');    console.log(await t.get('k3'))
    t.close()`
  const args = ['--input-type=module', '--eval', program, cluster.address]
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, timeout: 20_000 })
  expect(stdout).toBe('v3\nnull\n')
})
