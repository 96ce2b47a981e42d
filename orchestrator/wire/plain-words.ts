import { type ServiceError, status } from '@grpc/grpc-js'

// What gRPC finds by itself it says in words for its own developers. Here is what a person is told instead.

const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'no such host is known',
  EAI_AGAIN: 'no such host is known',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'the host says nothing',
  ECONNRESET: 'it hung up',
  EPIPE: 'it hung up',
}

/** What the code of a failed connection means; undefined for one that is not known here. */
export function whyNoConnection(code: string): string | undefined {
  return WHY[code]
}

/** A call that failed without an error of ours: who was asked, for how long, and what became of it. */
export function plainWords(failure: ServiceError, address: string, afterMs: number | undefined): string {
  const said = failure.details || failure.message
  switch (failure.code) {
    case status.UNAVAILABLE:
      return `no connection to ${address}, or it broke${inBrackets(whyIn(said))}`
    case status.DEADLINE_EXCEEDED:
      return `no answer from ${address}${afterMs === undefined ? '' : ` within ${Math.round(afterMs)} ms`}`
    case status.CANCELLED:
      return `the call to ${address} was given up here`
    case status.UNIMPLEMENTED:
      return `${address} does not know this call: it is another version of Kvorum, or something else`
    case status.RESOURCE_EXHAUSTED:
      return `the message was more than ${address} takes, or gives, at once`
    default:
      return `${address} failed: ${said}`
  }
}

/** The system's code lies only in the text. For words it is good enough; nothing is decided by it. */
function whyIn(text: string): string | undefined {
  const code = Object.keys(WHY).find((one) => text.includes(one))
  return code === undefined ? undefined : whyNoConnection(code)
}

function inBrackets(text: string | undefined): string {
  return text === undefined ? '' : ` (${text})`
}
