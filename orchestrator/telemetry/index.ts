export { coloursFor } from './colours.js'
export { type EventName, type Events, silent, type Telemetry } from './events.js'
export { type LogOptions, logTelemetry } from './log.js'
