const paths = {
  lock: 'M8 11V8a4 4 0 0 1 8 0v3M6 11h12v9H6zM12 15v2',
  shield: 'M12 3l7.5 3v5.5c0 4.6-3.1 8-7.5 9.5-4.4-1.5-7.5-4.9-7.5-9.500V6zM8.5 12l2.5 2.5 4.5-5',
  browser: 'M3 5h18v14H3zM3 9h18M6 7h.01M9 7h.01',
  server: 'M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01M12 7h4M12 17h4',
  cloud: 'M7 18a4 4 0 0 1-.5-7.97A6 6 0 0 1 18 9.5 4.3 4.3 0 0 1 17.5 18z',
  upload: 'M12 19V8M7 12.500l5-5 5 5M5 4h14',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  alert: 'M12 8v5M12 16.5v.01M12 3l9.5 17h-19z',
  clock: 'M12 3.500a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.500V12l3 2',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  download: 'M12 4v11M7 10.5l5 5 5-5M5 20h14',
  pencil: 'M4 20l1-4.500L16 4.500l3.5 3.500L8.5 19zM13.5 7l3.5 3.5',
  bin: 'M4.5 7h15M9 7V4h6v3M6.5 7l1 13h9l1-13M10.5 10.500v6M13.5 10.500v6',
  plus: 'M12 5v14M5 12h14',
  cross: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  window: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
}

export type IconName = keyof typeof paths

/** A decorative line icon; the text beside it carries the meaning. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  )
}
