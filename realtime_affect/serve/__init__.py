"""Read a camera for months without anybody watching: ``realtime-affect serve``.

``service`` runs and restarts the pipeline, ``listeners`` hands readings to whoever connects,
``health`` says how it is, ``degrade`` does less when the machine can do less. ``config`` alone is
imported by the settings, so this module imports nothing.
"""
