import { InternalError } from '../../errors/index.js'
import type { Kind } from './kind.js'
import type { UnknownRecord } from './unknown-record.js'

/** What a later version has done: there is nothing left of it to be carried on or taken back. */
export const unknown: Kind<UnknownRecord> = {
  describe: ({ name }) => `${name}: a kind of operation that this version does not know`,
  steps: () => [],
  cancelled: (record) => {
    throw ended(record)
  },
  run: (record) => Promise.reject(ended(record)),
}

function ended({ id, name }: UnknownRecord): InternalError {
  return new InternalError(`operation ${id} (${name}) is of an unknown kind: only one that has ended is ever read`, {
    outcome: 'not-applied',
  })
}
