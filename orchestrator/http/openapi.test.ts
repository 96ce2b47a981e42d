import { expect, test } from 'vitest'
import { serving } from './testing/serving.js'
import { MapStore } from './testing/stores.js'

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

interface Operation {
  readonly operationId: string
  readonly parameters: readonly { readonly name: string }[]
  readonly responses: Readonly<Record<string, unknown>>
}

async function read(): Promise<Document> {
  const { ask } = await serving(new MapStore())
  return (await (await ask('/v1/openapi.json')).json()) as Document
}

test('it names every path and method', async () => {
  const { openapi, paths } = await read()
  expect(openapi).toBe('3.1.0')
  expect(Object.entries(paths).map(([path, methods]) => `${path} ${Object.keys(methods).join(' ')}`)).toEqual([
    '/v1/keys/{key} get head put delete',
    '/key/{key} get head put delete',
    '/v1/keys/{key}/append post',
    '/v1/keys/{key}/compare-and-set post',
    '/v1/keys/{key}/increment post',
    '/v1/keys/{key}/ttl get head',
    '/v1/keys/{key}/touch post',
    '/v1/leases post',
    '/v1/leases/{lease}/keep-alive post',
    '/v1/leases/{lease} delete',
    '/v1/keys get head delete',
    '/v1/count get head',
    '/v1/watch get head',
    '/v1/batch post',
    '/v1/txn post',
    '/v1/operations get head post',
    '/v1/operations/{id} get head',
    '/v1/operations/{id}/pause post',
    '/v1/operations/{id}/resume post',
    '/v1/operations/{id}/cancel post',
    '/v1/status get head',
    '/status get head',
    '/healthz get head',
    '/readyz get head',
    '/v1/openapi.json get head',
  ])
})

test('every reference leads somewhere, and every operation has a name of its own', async () => {
  const document = await read()
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
  expect(references.length).toBeGreaterThan(20)
  for (const [, name = ''] of references) expect(document.components.schemas).toHaveProperty(name)
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId))
  expect(new Set(ids).size).toBe(ids.length)
})

test('a path of the document answers as the document says', async () => {
  const { ask } = await serving(new MapStore())
  const { paths } = await read()
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { responses }] of Object.entries(methods)) {
      const { status } = await ask(path.replace(/\{\w+\}/, 'k'), { method: method.toUpperCase() })
      expect(Object.keys(responses), `${method} ${path}`).toContain(String(status))
    }
    const allow = (await ask(path.replace(/\{\w+\}/, 'k'), { method: 'OPTIONS' })).headers.get('allow')
    expect(allow).toBe([...Object.keys(methods).map((method) => method.toUpperCase()), 'OPTIONS'].join(', '))
  }
})

test('parameters have their ranges', async () => {
  const { paths } = await read()
  const parameters = paths['/key/{key}']?.get?.parameters
  expect(parameters).toContainEqual(expect.objectContaining({ in: 'path', name: 'key', required: true }))
  const description = expect.stringContaining('Any replica')
  const schema = expect.objectContaining({ type: 'integer', minimum: 0, maximum: 86_400_000 })
  expect(parameters).toContainEqual(expect.objectContaining({ in: 'query', name: 'stale_ms', description, schema }))
  expect(parameters).toContainEqual(expect.objectContaining({ in: 'header', name: 'If-None-Match' }))
})
