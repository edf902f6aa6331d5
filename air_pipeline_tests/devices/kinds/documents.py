"""A document of each kind, as its firmware writes it."""

AIRGRADIENT_ONE = (
    '{"pm01":8.5,"pm02":12.4,"pm10":13.17,"pm01Standard":8.5,"pm02Standard":12.4,"pm10Standard":13.17,'
    '"pm003Count":1461.33,"pm005Count":402.5,"pm01Count":58.17,"pm02Count":4.83,"pm50Count":0.5,"pm10Count":0,'
    '"pm02Compensated":8.08,"atmp":22.41,"atmpCompensated":22.41,"rhum":48.3,"rhumCompensated":48.3,"rco2":612.67,'
    '"tvocIndex":97,"tvocRaw":31245.5,"noxIndex":1,"noxRaw":16310.25,"boot":309,"bootCount":309,"wifi":-54,'
    '"ledMode":"co2","serialno":"ecda3b1d09d8","firmware":"3.6.5","model":"I-9PSL"}'
)
AIRGRADIENT_OPEN_AIR = (
    '{"pm02":11,"pm02Compensated":7.12,"atmp":15.2,"atmpCompensated":12.84,"rhum":51,"rhumCompensated":71.55,'
    '"channels":{"1":{"pm02":10,"pm02Compensated":6.68,"atmp":15,"atmpCompensated":12.6,"rhum":50,'
    '"rhumCompensated":70.29},"2":{"pm02":12,"pm02Compensated":7.56,"atmp":15.4,"atmpCompensated":13.07,"rhum":52,'
    '"rhumCompensated":72.81}},"boot":12,"bootCount":12,"wifi":-61,"serialno":"84fce612f5b8","firmware":"3.6.5",'
    '"model":"O-1PP"}'
)
AIRGRADIENT_AFTER_BOOT = (
    '{"wifi":-59,"serialno":"84fce612f5b8","bootCount":0,"ledMode":"co2","firmware":"3.0.8","model":"I-9PSL"}'
)
AIRROHR = (
    '{"software_version": "NRZ-2024-135", "age":"137", "sensordatavalues":['
    '{"value_type":"SDS_P1","value":"25.05"},{"value_type":"SDS_P2","value":"23.20"},'
    '{"value_type":"temperature","value":"7.30"},{"value_type":"humidity","value":"88.60"},'
    '{"value_type":"BMP_pressure","value":"98812.00"},{"value_type":"BMP_temperature","value":"8.10"},'
    '{"value_type":"samples","value":"5315812"},{"value_type":"min_micro","value":"26"},'
    '{"value_type":"max_micro","value":"20017"},{"value_type":"interval","value":"145000"},'
    '{"value_type":"signal","value":"-77"}]}'
)
AIRROHR_BEFORE_FIRST_CYCLE = '{"software_version": "NRZ-2024-135", "age":"-120", "sensordatavalues":[]}'
PURPLEAIR = (
    '{"SensorId":"84:f3:eb:1:2:3","DateTime":"2026/11/21T10:31:07z","Geo":"PurpleAir-0203","Mem":16096,"memfrag":19,'
    '"memfb":12952,"memcs":1064,"Id":1652,"lat":48.2,"lon":16.3,"Adc":0.05,"loggingrate":15,"place":"outside",'
    '"version":"7.02","uptime":496339,"rssi":-57,"period":120,"httpsuccess":4273,"httpsends":4279,'
    '"hardwareversion":"2.0","hardwarediscovered":"2.0+BME280+PMSX003-B+PMSX003-A","current_temp_f":52,'
    '"current_humidity":61,"current_dewpoint_f":39,"pressure":989.6,"p25aqic_b":"rgb(46,232,0)","pm2.5_aqi_b":33,'
    '"pm1_0_cf_1_b":4.87,"p_0_3_um_b":1012.4,"pm2_5_cf_1_b":7.93,"p_0_5_um_b":288.1,"pm10_0_cf_1_b":8.6,'
    '"p_1_0_um_b":51.2,"pm1_0_atm_b":4.87,"p_2_5_um_b":3.1,"pm2_5_atm_b":7.93,"p_5_0_um_b":0.7,"pm10_0_atm_b":8.6,'
    '"p_10_0_um_b":0.4,"p25aqic":"rgb(52,233,0)","pm2.5_aqi":35,"pm1_0_cf_1":5.2,"p_0_3_um":1077.9,"pm2_5_cf_1":8.41,'
    '"p_0_5_um":301.6,"pm10_0_cf_1":9.02,"p_1_0_um":55.9,"pm1_0_atm":5.2,"p_2_5_um":3.6,"pm2_5_atm":8.41,'
    '"p_5_0_um":0.9,"pm10_0_atm":9.02,"p_10_0_um":0.5,"pa_latency":336,"wlstate":"Connected","status_0":2,'
    '"status_1":2,"status_2":2,"status_3":2,"status_4":0,"status_5":0,"status_7":0,"status_8":0,"status_9":0,'
    '"ssid":"home"}'
)
TASMOTA = (
    '{"StatusSNS":{"Time":"2026-11-21T10:31:07","DS18B20-1":{"Id":"00000566CC39","Temperature":13.3},'
    '"BME280":{"Temperature":21.7,"Humidity":44.6,"DewPoint":9.1,"Pressure":988.6},'
    '"SCD40":{"CarbonDioxide":1204,"eCO2":1235,"Temperature":22.8,"Humidity":47.5,"DewPoint":11.1},'
    '"PMS5003":{"CF1":6,"CF2.5":9,"CF10":10,"PM1":5,"PM2.5":8,"PM10":11,"PB0.3":1188,"PB0.5":330,"PB1":54,"PB2.5":5,'
    '"PB5":1,"PB10":0},"SDS0X1":{"PM2.5":8.4,"PM10":11.9},"PressureUnit":"hPa","TempUnit":"C"}}'
)
TASMOTA_SENSORS = """\
sensors:
  ds18b20-1: [temperature]
  bme280: [temperature, humidity, pressure]
  scd40: [co2]
  pms5003: [pm1, pm1_standard, pm25, pm25_standard, pm10, pm10_standard, count_0_3]
  sds011: [pm25, pm10]"""
SHELLY_SECOND = (
    '{"temperature:0":{"id":0,"tC":21.3,"tF":70.4},"humidity:0":{"id":0,"rh":43.8},"illuminance:0":{"id":0,"lux":30},'
    '"temperature:100":{"id":100,"tC":null,"tF":null,"errors":["out_of_range"]},'
    '"devicepower:0":{"id":0,"battery":{"V":5.9,"percent":98},"external":{"present":false}},'
    '"sys":{"mac":"AABBCCDDEEFF","unixtime":null,"uptime":515204}}'
)
SHELLY_FIRST = (
    '{"mac":"E8DB84ABE866","tmp":{"value":72.5,"units":"F","tC":22.5,"tF":72.5,"is_valid":true},'
    '"hum":{"value":50.5,"is_valid":true},"lux":{"value":12.987013,"is_valid":true},'
    '"bat":{"value":86,"voltage":2.9},"ext_temperature":{"0":{"tC":22.88,"tF":73.175}}}'
)
ESPHOME = """\
#TYPE esphome_sensor_value gauge
#TYPE esphome_sensor_failed gauge
esphome_sensor_failed{id="outside_temperature",name="Outside Temperature"} 0
esphome_sensor_value{id="outside_temperature",name="Outside Temperature",unit="°C"} 17.9
esphome_sensor_failed{id="pressure",name="Pressure"} 0
esphome_sensor_value{id="pressure",name="Pressure",unit="Pa"} 98812.5
esphome_sensor_failed{id="dust",name="Dust"} 1
esphome_sensor_failed{id="attic",name="Attic"} 0
esphome_sensor_value{id="attic",name="Attic",unit="°F"} 68
"""
