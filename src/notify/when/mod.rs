//! Time: durations, zones, wall times, quiet hours; schedules, and what changes of records set off.
