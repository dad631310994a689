complete -c causeway-gateway -s c -l config -d 'A Python file of settings, or python:MODULE [default: ./gunicorn.conf.py]' -r -F
complete -c causeway-gateway -s b -l bind -d 'Where to listen: HOST:PORT, :PORT, unix:PATH or fd://N; repeatable [default: 127.0.0.1:8000] [env: PORT]' -r
complete -c causeway-gateway -l backlog -d 'Connections the kernel holds until they are accepted [default: 2048]' -r
complete -c causeway-gateway -s w -l workers -d 'Worker processes; with 0, requests wait until TTIN brings one [default: 1] [env: WEB_CONCURRENCY]' -r
complete -c causeway-gateway -s k -l worker-class -d 'sync or gthread, which mean the same here: --threads decides [default: sync]' -r
complete -c causeway-gateway -l threads -d 'Threads of each worker, each answering one request at a time [default: 1]' -r
complete -c causeway-gateway -l max-requests -d 'Requests a worker answers before a new one takes its place; 0: never [default: 0]' -r
complete -c causeway-gateway -l max-requests-jitter -d 'At most so many requests more, drawn for each worker, so that not all are replaced at once [default: 0]' -r
complete -c causeway-gateway -s t -l timeout -d 'How long a request may take to its answer\'s first byte, and between two pieces of it; beyond it gets 504, and its worker is replaced; 0: for ever [default: 30]' -r
complete -c causeway-gateway -l graceful-timeout -d 'How long requests in hand may take to finish when a worker has to leave [default: 30]' -r
complete -c causeway-gateway -l keep-alive -d 'How long a connection may be idle between requests [default: 2, and 75 on a unix socket]' -r
complete -c causeway-gateway -l worker-connections -d 'Client connections for each gthread worker, beyond which none is accepted [default: 1000]' -r
complete -c causeway-gateway -l http-parser -d 'Without effect: there is one parser, whether auto, fast or python is asked for [default: auto]' -r
complete -c causeway-gateway -l limit-request-line -d 'Longest request line; 0: the most there is, 65536 [default: 4094]' -r
complete -c causeway-gateway -l limit-request-fields -d 'Most header fields of a request; never over 32768 [default: 100]' -r
complete -c causeway-gateway -l limit-request-field_size -d 'Longest header field of a request; 0: 8190 [default: 8190]' -r
complete -c causeway-gateway -l reload-engine -d 'How changes are seen: auto, poll or inotify [default: auto]' -r
complete -c causeway-gateway -l reload-extra-file -d 'One more file, or glob of files, to watch; repeatable' -r -F
complete -c causeway-gateway -l chdir -d 'Where the application is loaded from [default: here]' -r -f -a "(__fish_complete_directories)"
complete -c causeway-gateway -s e -l env -d 'An environment variable for the application; repeatable' -r
complete -c causeway-gateway -s p -l pid -d 'A file for the process id, removed at exit' -r -F
complete -c causeway-gateway -s m -l umask -d 'Permissions a unix socket is made without; 0: everyone may connect [default: 0]' -r
complete -c causeway-gateway -l pythonpath -d 'Folders to import from, with commas between them' -r
complete -c causeway-gateway -l worker-tmp-dir -d 'Without effect: no heartbeat files are written' -r -f -a "(__fish_complete_directories)"
complete -c causeway-gateway -s u -l user -d 'Who answers requests, by name or number, once everything is open' -r -f -a "(__fish_complete_users)"
complete -c causeway-gateway -s g -l group -d 'Its group, by name or number' -r
complete -c causeway-gateway -l forwarded-allow-ips -d 'Peers whose X-Forwarded-Proto is believed, with commas between them; *: all [default: 127.0.0.1,::1] [env: FORWARDED_ALLOW_IPS]' -r
complete -c causeway-gateway -l forwarder-headers -d 'Fields with an underscore that a trusted peer may set, with commas between them [default: SCRIPT_NAME,PATH_INFO]' -r
complete -c causeway-gateway -l header-map -d 'What becomes of fields whose name has an underscore: drop, refuse or dangerous [default: drop]' -r
complete -c causeway-gateway -l proxy-protocol -d 'Whether a PROXY line comes first: off, v1, v2 or auto [default: off]' -r
complete -c causeway-gateway -l proxy-allow-from -d 'Peers that may send one, with commas between them; *: all [default: 127.0.0.1,::1]' -r
complete -c causeway-gateway -l access-logfile -d 'Where a line for each request goes; -: standard output [default: nowhere]' -r -F
complete -c causeway-gateway -l access-logformat -d 'That line, in gunicorn\'s %(atoms)s [default: %(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"]' -r
complete -c causeway-gateway -l error-logfile -l log-file -d 'Where everything else is logged; -: standard error; also --log-file [default: -]' -r -F
complete -c causeway-gateway -l log-level -d 'debug, info, warning, error or critical [default: info]' -r
complete -c causeway-gateway -l logger-class -d 'Without effect: gunicorn\'s own is what is there; no others, since logconfig_dict takes handlers of any kind [default: gunicorn.glogging.Logger]' -r
complete -c causeway-gateway -l log-config -d 'An INI file for Python\'s logging.config.fileConfig' -r -F
complete -c causeway-gateway -l log-config-json -d 'The same, from a JSON file' -r -F
complete -c causeway-gateway -l log-syslog-to -d 'Where that is: udp://HOST:PORT, tcp://HOST:PORT or unix://PATH#dgram [default: udp://localhost:514]' -r
complete -c causeway-gateway -l log-syslog-prefix -d 'The name lines have there, after gunicorn' -r
complete -c causeway-gateway -l log-syslog-facility -d 'The facility they have there [default: user]' -r
complete -c causeway-gateway -l statsd-host -d 'A statsd to send metrics to: HOST:PORT or unix://PATH' -r
complete -c causeway-gateway -l statsd-prefix -d 'What the names of metrics begin with' -r
complete -c causeway-gateway -l dogstatsd-tags -d 'Tags of metrics, as Datadog has them, with commas between them' -r
complete -c causeway-gateway -s n -l name -d 'What ps -o comm shows of this process; the kernel keeps 15 bytes' -r
complete -c causeway-gateway -l keyfile -d 'The key of --certfile [default: in that file]' -r -F
complete -c causeway-gateway -l certfile -d 'The certificate, and those between it and the root; speak TLS' -r -F
complete -c causeway-gateway -l ca-certs -d 'Certificates that clients\' are to be signed by' -r -F
complete -c causeway-gateway -l cert-reqs -d 'Certificates of clients: 0, not asked for; 1, if there is one; 2, required [default: 0]' -r
complete -c causeway-gateway -l ciphers -d 'Without effect: rustls has no suites but safe ones' -r
complete -c causeway-gateway -l ssl-version -d 'Without effect: TLS 1.2 and 1.3 are spoken; nor has it any in gunicorn' -r
complete -c causeway-gateway -l http-protocols -d 'What TLS clients may choose, the best first: h1, h2 [default: h1]' -r
complete -c causeway-gateway -l http2-max-concurrent-streams -d 'Requests at a time on a connection of HTTP/2 [default: 100]' -r
complete -c causeway-gateway -l http2-initial-window-size -d 'Of a body, sent before we have asked for more [default: 65535]' -r
complete -c causeway-gateway -l http2-max-frame-size -d 'The longest frame taken [default: 16384]' -r
complete -c causeway-gateway -l http2-max-header-list-size -d 'The longest head, unpacked; 0: no bound of its own [default: 65536]' -r
complete -c causeway-gateway -l control-socket -d 'Where gunicornc finds us [default: $XDG_RUNTIME_DIR/gunicorn.ctl, or ~/.gunicorn/gunicorn.ctl]' -r -F
complete -c causeway-gateway -l control-socket-mode -d 'Permissions of that socket [default: 0o600]' -r
complete -c causeway-gateway -l limit-request-body -d 'Longest body of a request, beyond which it gets 413; 0: what the disk holds [default: 0]' -r
complete -c causeway-gateway -l queue -d 'Requests that may wait for a worker; one more gets 503 at once [default: 2048]' -r
complete -c causeway-gateway -l queue-timeout -d 'How long a request may wait for a worker before it gets 503 [default: 30]' -r
complete -c causeway-gateway -l python -d 'The interpreter [default: $VIRTUAL_ENV\'s, else python3 beside this program, else on PATH]' -r -f -a "(__fish_complete_command)"
complete -c causeway-gateway -l max-worker-memory -d 'Resident memory of a worker, beyond which a new one takes its place, one at a time, as in 512M; 0: never [default: 0]' -r
complete -c causeway-gateway -s v -l version -d 'Print the version'
complete -c causeway-gateway -l reuse-port -d 'Bind with SO_REUSEPORT, so that other servers may bind the same address'
complete -c causeway-gateway -l reload -d 'Restart the workers when a file of a module they have imported changes; for development'
complete -c causeway-gateway -l check-config -d 'Import the application once, then leave with 0 or 1'
complete -c causeway-gateway -l print-config -d 'Print every setting, then do as --check-config'
complete -c causeway-gateway -l preload -d 'Import the application once, before workers are forked'
complete -c causeway-gateway -l no-sendfile -d 'Never use sendfile() for wsgi.file_wrapper [env: SENDFILE]'
complete -c causeway-gateway -s D -l daemon -d 'Go to the background'
complete -c causeway-gateway -l initgroups -d 'And every other group that user is in'
complete -c causeway-gateway -l permit-obsolete-folding -d 'Join lines of a field that was folded, rather than refuse it'
complete -c causeway-gateway -l strip-header-spaces -d 'Take blanks between a field\'s name and its colon; unsafe behind a proxy'
complete -c causeway-gateway -l permit-unconventional-http-method -d 'Take methods in lower case, with # in them, or of unusual length'
complete -c causeway-gateway -l permit-unconventional-http-version -d 'Take versions of HTTP other than 1.0 and 1.1'
complete -c causeway-gateway -l casefold-http-method -d 'Turn methods to upper case'
complete -c causeway-gateway -l capture-output -d 'What workers print goes to the error log'
complete -c causeway-gateway -s R -l enable-stdio-inheritance -d 'Without effect: output goes on as it is, unless --daemon is given, and then it is refused'
complete -c causeway-gateway -l log-syslog -d 'Log to syslog too'
complete -c causeway-gateway -l disable-redirect-access-to-syslog -d 'Keep access lines out of syslog'
complete -c causeway-gateway -l enable-backlog-metric -d 'Send how many connections wait to be accepted'
complete -c causeway-gateway -l suppress-ragged-eofs -d 'Without effect: an end without close_notify is an end'
complete -c causeway-gateway -l do-handshake-on-connect -d 'Without effect: no handshake holds anybody up'
complete -c causeway-gateway -l no-control-socket -d 'Open no such socket'
complete -c causeway-gateway -l server-timing -d 'Tell the client in Server-Timing where the time went, and continue its traceparent'
complete -c causeway-gateway -l exit-on-boot-failure -d 'As gunicorn does, end with code 3 or 4 when the first workers can not boot, rather than answer 503 and try again'
complete -c causeway-gateway -l explain-config -d 'As --print-config, and behind each setting where it was decided'
complete -c causeway-gateway -s h -l help -d 'Print help'
