# The WSGI server of the chain, whichever it is: gunicorn and the gateway read the same file. Where it
# listens and how many workers it has is on its command line.

# Longer than any page of the applications takes, and what nginx waits for, too (proxy_read_timeout).
timeout = 60
graceful_timeout = 30

# Whoever stands before it on this machine may say for whom it speaks.
forwarded_allow_ips = "127.0.0.1,::1"

# What the application prints goes where the errors go.
capture_output = True

# As nginx writes it, and how long the application took, in microseconds.
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
