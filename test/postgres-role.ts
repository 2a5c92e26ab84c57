/** What a role of PostgreSQL is like that says nothing special. */
export const plainRole = {
  user: null,
  parameters: {},
  applicationName: 'client',
  replication: false,
  idleMs: null,
  sessionsMax: null,
  recordRows: null,
  guard: null,
} as const
