import { deletePrefix } from './delete-prefix.js'
import type { Kind } from './kind.js'
import type { Records } from './record.js'
import { replace } from './replace.js'
import { replicas } from './replicas.js'
import { reshard } from './reshard.js'
import { rolling } from './rolling.js'
import { unknown } from './unknown.js'

const KINDS: { readonly [Name in keyof Records]: Kind<Records[Name]> } = {
  reshard,
  rolling,
  replicas,
  replace,
  'delete-prefix': deletePrefix,
  unknown,
}

/** What operations of this one's kind do. */
export function kindOf<Name extends keyof Records>(record: Records[Name]): Kind<Records[Name]> {
  return KINDS[record.kind as Name]
}
