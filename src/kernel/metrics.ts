/** Every metric that Curfew publishes, with its help text. docs/operations.md lists them. */
export const metricTable = {
  curfew_connections_total: { type: 'counter', help: 'Accepted connections', labels: ['protocol'] },
  curfew_connections_refused_total: {
    type: 'counter',
    help: 'Connections refused before a session, by fault code',
    labels: ['protocol', 'code'],
  },
  curfew_unauthenticated_connections: {
    type: 'gauge',
    help: 'Connections that have not signed in yet',
    labels: ['protocol'],
  },
  curfew_sessions_live: { type: 'gauge', help: 'Live sessions on this node', labels: [] },
  curfew_sessions_started_total: { type: 'counter', help: 'Sessions started', labels: ['protocol'] },
  curfew_sessions_ended_total: {
    type: 'counter',
    help: 'Sessions ended, by who ended them and the fault code',
    labels: ['by', 'code'],
  },
  curfew_cut_latency_seconds: {
    type: 'histogram',
    help: 'From the cause of a cut to the goodbye handed to the system',
    labels: ['code'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
  curfew_sweeper_found_total: {
    type: 'counter',
    help: 'Sessions past their end that only the sweeper found; anything but 0 is a bug',
    labels: [],
  },
  curfew_reloads_total: {
    type: 'counter',
    help: 'Changed configurations that were read while the gateway ran, by what came of them',
    labels: ['outcome'],
  },
  curfew_sign_ins_total: { type: 'counter', help: 'Sign-ins, by way and outcome', labels: ['way', 'outcome'] },
  curfew_guarded_statements_total: {
    type: 'counter',
    help: 'Statements that a guard warned of, asked about or refused',
    labels: ['action'],
  },
  curfew_http_exchanges_total: {
    type: 'counter',
    help: 'Requests to applications, by who ended them',
    labels: ['resource', 'result'],
  },
  curfew_http_refused_total: {
    type: 'counter',
    help: 'Requests to applications that the gateway answered itself, by fault code',
    labels: ['code'],
  },
  curfew_refusals_total: {
    type: 'counter',
    help: 'What people tried in access and might not (requests, decisions, reviews, ends, locks), by kind and fault code',
    labels: ['kind', 'code'],
  },
  curfew_requests_total: { type: 'counter', help: 'Requests closed, by state', labels: ['state'] },
  curfew_open_reviews: { type: 'gauge', help: 'Emergencies that nobody has reviewed yet', labels: [] },
  curfew_oldest_open_review_seconds: {
    type: 'gauge',
    help: 'How long the oldest emergency waits for its review; 0 when none does',
    labels: [],
  },
  curfew_notifications_total: {
    type: 'counter',
    help: 'Attempts to send a message, by what came of them',
    labels: ['channel', 'outcome'],
  },
  curfew_notifications_waiting: { type: 'gauge', help: 'Messages that are not sent yet', labels: ['channel'] },
  curfew_notifications_oldest_seconds: {
    type: 'gauge',
    help: 'How long the oldest message that is not sent yet waits; 0 when none does',
    labels: ['channel'],
  },
  curfew_countries_file_good: {
    type: 'gauge',
    help: 'Whether the file with the countries of addresses could be read when it was last looked at (1) or not (0)',
    labels: [],
  },
  curfew_recording_bytes_total: { type: 'counter', help: 'Bytes of recordings on disk', labels: [] },
  curfew_recording_unsaved_bytes: { type: 'gauge', help: 'Recorded bytes that are not on disk yet', labels: [] },
  curfew_recording_failures_total: { type: 'counter', help: 'Recordings that broke', labels: [] },
  curfew_upstream_failures_total: {
    type: 'counter',
    help: 'Targets that could not be reached or refused the login',
    labels: ['resource', 'code'],
  },
  curfew_database_users: {
    type: 'gauge',
    help: 'Users for grants that stand at a target now',
    labels: ['resource'],
  },
  curfew_database_users_overdue: {
    type: 'gauge',
    help: 'Users for grants that should be gone from a target and could not be removed yet',
    labels: ['resource'],
  },
  curfew_database_users_total: {
    type: 'counter',
    help: 'What became of users for grants: made, refused, dropped, disabled, failed (to be dropped; tried again)',
    labels: ['resource', 'outcome'],
  },
  curfew_http_target_healthy: {
    type: 'gauge',
    help: 'Whether an address of a web application is used (1) or left out (0)',
    labels: ['resource', 'address'],
  },
  curfew_web_request_seconds: {
    type: 'histogram',
    help: 'Time to answer a page or API request',
    labels: ['route', 'status'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
} as const satisfies Record<
  string,
  { type: 'counter' | 'gauge' | 'histogram'; help: string; labels: readonly string[]; buckets?: readonly number[] }
>

type Table = typeof metricTable
type NamesOf<Type> = { [Name in keyof Table]: Table[Name]['type'] extends Type ? Name : never }[keyof Table]
type Labels<Name extends keyof Table> = Readonly<Record<Table[Name]['labels'][number], string>>

/** Counting, handed in. Label values come from small, closed sets; never a person, never a client's own text. */
export interface Metrics {
  add<Name extends NamesOf<'counter'>>(name: Name, labels: Labels<Name>, by?: number): void
  set<Name extends NamesOf<'gauge'>>(name: Name, labels: Labels<Name>, value: number): void
  /** What it was about is no more. */
  forget<Name extends NamesOf<'gauge'>>(name: Name, labels: Labels<Name>): void
  /** `value` in seconds. */
  observe<Name extends NamesOf<'histogram'>>(name: Name, labels: Labels<Name>, value: number): void
}
