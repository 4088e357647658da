-- Question: how are angles averaged, wrapped and compared?
-- Grain: macros; every angle is in radians, every returned angle in (-pi, pi];
--   of what is null, NaN or infinite nothing is said: null, NaN or infinite too
-- Reads: nothing
-- Params: none

-- x - 2 pi ceil((x - pi) / (2 pi)): the interval is open at -pi, closed at pi.
-- Null beyond 1e9, where a double no longer tells 1e-7 apart.
-- Example: wrap_angle(3 * pi()) = pi()
create macro wrap_angle(angle_rad) as
    case
        when abs(angle_rad) <= 1e9
            then angle_rad
                - 2 * pi() * ceil((angle_rad - pi()) / (2 * pi()))
    end;

-- The turn from angle_b_rad to angle_a_rad.
-- Example: angular_difference(radians(170), radians(-170)) = radians(-20)
create macro angular_difference(angle_a_rad, angle_b_rad) as
    wrap_angle(angle_a_rad - angle_b_rad);

-- In which of so many equal sectors of the circle an angle lies: from 1, which
-- begins at -pi. Open below and closed above, as (-pi, pi] is.
-- Example: sector_of(0, 24) = 12
create macro sector_of(angle_rad, sectors) as
    case
        when abs(angle_rad) <= pi()
            and sectors > 0
            and sectors < 'infinity'::double
            then greatest(
                ceil((angle_rad + pi()) / (2 * pi()) * sectors), 1
            )::bigint
    end;

-- The angle in the middle of a sector.
-- Example: sector_centre(1, 4) = radians(-135)
create macro sector_centre(sector, sectors) as
    -pi() + (sector - 0.5) * 2 * pi() / sectors;

-- Mean resultant length R in [0, 1] of a sample with this mean cosine and mean
-- sine. Mardia & Jupp 2000, eq. 2.2.3. Rounding may pass 1, the clamp takes it
-- back. Null without angles.
-- Example: resultant_of(0.3, 0.4) = 0.5
create macro resultant_of(cosine, sine) as
    case
        when cosine ** 2 + sine ** 2 < 'infinity'::double
            then least(1.0, sqrt(cosine ** 2 + sine ** 2))
    end;

-- Mean direction. Mardia & Jupp 2000, eq. 2.2.4. Null where R < 1e-12: such a
-- sample points nowhere, its direction is rounding noise.
-- Example: direction_of(0, 0.5) = pi() / 2
create macro direction_of(cosine, sine) as
    case
        when resultant_of(cosine, sine) >= 1e-12
            then wrap_angle(atan2(sine, cosine))
    end;

-- Mean of cos 2(angle - mean direction), in [-1, 1], from the mean cosine and
-- sine of the angle and of its double; null where the mean direction is. The
-- rival is the modulus of the second moment (pycircstat2), never smaller: it
-- may call a widely split sample concentrated.
-- Example: centred_cosine_2_of(0, 1, -1, 0) = 1
create macro centred_cosine_2_of(cosine, sine, cosine_2, sine_2) as
    cos(2 * direction_of(cosine, sine)) * cosine_2
    + sin(2 * direction_of(cosine, sine)) * sine_2;

-- The same three of a column of angles (aggregates).
-- Example: resultant_length(x) for x in [0, pi() / 2] = sqrt(0.5)
create macro resultant_length(angle_rad) as
    resultant_of(avg(cos(angle_rad)), avg(sin(angle_rad)));

-- Example: circular_mean(x) for x in [0, pi() / 2] = pi() / 4
create macro circular_mean(angle_rad) as
    direction_of(avg(cos(angle_rad)), avg(sin(angle_rad)));

-- Example: centred_cosine_2(x) for x in [0, pi() / 2] = 0
create macro centred_cosine_2(angle_rad) as
    centred_cosine_2_of(
        avg(cos(angle_rad)),
        avg(sin(angle_rad)),
        avg(cos(2 * angle_rad)),
        avg(sin(2 * angle_rad))
    );

-- Half width of the 95 % confidence arc of a mean direction: Fisher 1993,
-- eq. 4.21 and 4.22, asin(z sqrt(delta / n)), dispersion
-- delta = (1 - rho_2) / (2 R^2). Null for one angle, and where the sine would
-- pass 1: then the sample does not bound its direction. For n >= 50: below, it
-- covers too little (docs/method.md).
-- Example: mean_direction_half_arc(100, 1, 0.5) = asin(1.959963984540054 / 20)
create macro mean_direction_half_arc(n, resultant_length, cosine_2) as
    case
        when n >= 2
            and resultant_length between 1e-12 and 1
            and abs(cosine_2) < 'infinity'::double
            and 1.959963984540054 ** 2 * greatest(0.0, 1 - cosine_2)
                <= 2 * n * resultant_length ** 2
            then asin(
                1.959963984540054 * sqrt(
                    greatest(0.0, 1 - cosine_2)
                    / (2 * n * resultant_length ** 2)
                )
            )
    end;

-- The seed-th bootstrap resample of 0..n - 1: n draws by md5, so that they are
-- the same on every machine.
-- Example: resample(1, 7) = [0]
create macro resample(n, seed) as
    list_transform(
        range(n),
        lambda draw:
            (md5_number_lower(concat(seed, ':', draw)) % n)::bigint
    );

-- How often each of 0..n - 1 was drawn, as shares that sum to 1.
-- Example: drawn_shares([0, 0, 2, 1]) = [0.5, 0.25, 0.25, 0]
create macro drawn_shares(drawn) as
    list_transform(
        range(len(drawn)),
        lambda position:
            len(list_filter(drawn, lambda draw: draw = position)) / len(drawn)
    );

-- 1 - rho_2 about the resample's own mean direction: 2 R^2 delta.
-- Example: scatter(0.5, 0, 0.2, 0) = 0.8
create macro scatter(cosine, sine, cosine_2, sine_2) as
    1 - (
        (cosine ** 2 - sine ** 2) * cosine_2 + 2 * cosine * sine * sine_2
    ) / (cosine ** 2 + sine ** 2);

-- Square of the pivot sin(turn) / sqrt(delta) of a resample: its mean direction
-- turns from the sample's, which is 0 here, and delta is its own dispersion.
-- The moments are its mean cosine and sine of once and twice the deviation.
-- Infinite for a resample that points backwards or has no dispersion.
-- Example: studentised_square(0.5, 0.5, 0, 0) = 0.5
create macro studentised_square(cosine, sine, cosine_2, sine_2) as
    case
        when cosine > 0
            and scatter(cosine, sine, cosine_2, sine_2) > 1e-12
            and scatter(cosine, sine, cosine_2, sine_2) < 'infinity'::double
            then 2 * sine ** 2 / scatter(cosine, sine, cosine_2, sine_2)
        else 'infinity'::double
    end;

-- Half width of the 95 % arc by the studentised bootstrap: asin(T sqrt(delta)),
-- T^2 the 95 % quantile of the pivot's square. Fisher & Hall 1989.
-- Example: bootstrap_half_arc(1, 1, 0.5) = pi() / 6
create macro bootstrap_half_arc(square_95, resultant_length, cosine_2) as
    case
        when isfinite(square_95)
            and resultant_length between 1e-12 and 1
            and abs(cosine_2) < 'infinity'::double
            and square_95 * (1 - cosine_2) <= 2 * resultant_length ** 2
            then asin(
                sqrt(
                    greatest(0.0, square_95 * (1 - cosine_2))
                    / (2 * resultant_length ** 2)
                )
            )
    end;
