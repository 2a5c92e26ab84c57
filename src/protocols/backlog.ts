/** Connections that wait to be accepted. Of more at once the system lets some hang: they believe that they are connected. */
export const backlog: number = 4096
