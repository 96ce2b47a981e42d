import { HttpRefusal } from './problem.js'
import type { Route } from './route.js'

/** What stands for a part of a path that the request chooses. */
const CHOSEN = /^\{.*\}$/
const NO_KEY = Buffer.alloc(0)

/** What a path allows, and the key in it, or whatever else it names. */
export interface Match {
  /** For the Allow header. */
  readonly allow: string
  readonly key: Buffer
  readonly hasKey: boolean
  /** The route of the method; HEAD is a GET of which only the head is sent. Throws what becomes a 405. */
  choose(method: string): Route
}

export class Router {
  readonly #paths: readonly { readonly parts: readonly string[]; readonly route: Route }[]

  constructor(routes: readonly Route[]) {
    this.#paths = routes.flatMap((route) => route.paths.map((path) => ({ parts: path.slice(1).split('/'), route })))
  }

  /** Throws what becomes a 404. */
  match(segments: readonly Buffer[]): Match {
    const here = this.#paths.filter(({ parts }) => fits(parts, segments))
    const [first] = here
    if (first === undefined) throw new HttpRefusal(404, 'NO_SUCH_PATH', 'there is nothing under this path')
    const at = first.parts.findIndex((part) => CHOSEN.test(part))
    const methods = here.flatMap(({ route: { method } }) => (method === 'GET' ? [method, 'HEAD'] : [method]))
    const allow = [...methods, 'OPTIONS'].join(', ')
    return {
      allow,
      key: segments[at] ?? NO_KEY,
      hasKey: first.parts[at] === '{key}',
      choose: (method) => {
        const wanted = method === 'HEAD' ? 'GET' : method
        const found = here.find(({ route }) => route.method === wanted)
        if (found !== undefined) return found.route
        throw new HttpRefusal(405, 'METHOD_NOT_ALLOWED', `${method} is no method of this path`, { Allow: allow })
      },
    }
  }
}

function fits(parts: readonly string[], segments: readonly Buffer[]): boolean {
  if (parts.length !== segments.length) return false
  return parts.every((part, index) => CHOSEN.test(part) || segments[index]?.equals(Buffer.from(part)) === true)
}
