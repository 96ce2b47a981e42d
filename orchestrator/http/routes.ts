import { json } from './answer.js'
import { BATCH_ROUTES } from './batch.js'
import { CLUSTER_ROUTES } from './cluster.js'
import { COMPARE_ROUTES } from './compare.js'
import { OPERATION_ROUTES } from './deletion.js'
import { KEY_ROUTES } from './keys.js'
import { LEASE_ROUTES } from './leases.js'
import { documentOf } from './openapi.js'
import { RANGE_ROUTES } from './ranges.js'
import { type Route, route } from './route.js'
import { AnyObject, NoQuery } from './schemas.js'
import { TRANSACTION_ROUTES } from './transaction.js'
import { TTL_ROUTES } from './ttl.js'
import { WATCH_ROUTES } from './watch.js'

const document = route({
  id: 'openapi',
  method: 'GET',
  paths: ['/v1/openapi.json'],
  summary: 'This document.',
  query: NoQuery,
  asks: 'nothing',
  writes: false,
  answers: { 200: { description: 'OpenAPI 3.1.', schema: AnyObject } },
  handle: () => json(200, documentOf(ROUTES)),
})

/** The whole API, once: for those who serve it, and for the document. */
export const ROUTES: readonly Route[] = [
  ...KEY_ROUTES,
  ...COMPARE_ROUTES,
  ...TTL_ROUTES,
  ...LEASE_ROUTES,
  ...RANGE_ROUTES,
  ...WATCH_ROUTES,
  ...BATCH_ROUTES,
  ...TRANSACTION_ROUTES,
  ...OPERATION_ROUTES,
  ...CLUSTER_ROUTES,
  document,
]
